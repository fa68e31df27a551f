// How2QA's annotations: quoted fields, missing times, and each thing that can be wrong.
#include "tests/unit/data/read_as.h"

using namespace bovila;
using testing::contains;
using testing::problem_of;
using testing::read_as;

namespace {

const std::string kHeader = "video_id,question,a0,a1,a2,a3,answer_id,start,end\n";

std::string how2qa_problem_with(const std::string& row) {
  return problem_of("how2qa", "train.csv", kHeader + row);
}

}  // namespace

TEST_CASE("how2qa: a question is read, with commas, quotes and line breaks in its fields") {
  const auto samples =
      read_as("how2qa", "public_val.csv",
              kHeader + "v,\"Why, \"\"then\"\"\nnow\",a,\"b,c\",d,e,1,2.5,4.5\n", "public_val");
  REQUIRE(samples.size() == 1);
  const Sample& sample = samples[0];
  CHECK(sample.question_id == "0");
  CHECK(sample.question == "Why, \"then\"\nnow?");
  CHECK(sample.options == std::vector<std::string>{"a", "b,c", "d", "e"});
  CHECK(sample.answer == 1);
  REQUIRE(sample.clip.size() == 1);
  CHECK(sample.clip[0].first == 2);  // round(2.5)
  CHECK(sample.clip[0].last == 5);   // round(4.5) + 1
}

TEST_CASE("how2qa: columns are found by name, others are ignored") {
  const auto samples =
      read_as("how2qa", "train.csv",
              "\xEF\xBB\xBF"
              "x,end,start,a3,a2,a1,a0,question,video_id,answer_id\r\n?,2,1,d,c,b,a,q,v,3\r\n");
  CHECK(samples[0].options == std::vector<std::string>{"a", "b", "c", "d"});
  CHECK(samples[0].answer == 3);
  CHECK(samples[0].clip[0].first == 1);
}

TEST_CASE("how2qa: a column qid has the questions' ids") {
  const auto samples = read_as("how2qa", "train.csv",
                               "qid,video_id,question,a0,a1,a2,a3,answer_id,start,end\n"
                               "h-7,v,q,a,b,c,d,0,1,2\n");
  CHECK(samples[0].question_id == "h-7");
}

TEST_CASE("how2qa: missing times are the whole video") {
  for (const char* times : {",", "nan,nan", "3,", " , "}) {
    const auto samples = read_as("how2qa", "train.csv", kHeader + "v,q,a,b,c,d,0," + times);
    CHECK(samples[0].clip[0].last == FrameSpan::kToEnd);
  }
}

TEST_CASE("how2qa: blank answers in all rows are hidden ones") {
  CHECK_FALSE(read_as("how2qa", "train.csv", kHeader + "v,q,a,b,c,d,,1,2")[0].answer);
  CHECK(contains(how2qa_problem_with("v,q,a,b,c,d,,1,2\nv,q,a,b,c,d,1,1,2"),
                 "line 2: \"answer_id\" is missing; other questions have it"));
}

TEST_CASE("how2qa: a missing column is an error with the header's line") {
  CHECK(contains(
      problem_of("how2qa", "train.csv", "video_id,question,a0,a1,a2,start,end\nv,q,a,b,c,1,2"),
      "line 1: column \"a3\" is missing from the header"));
}

TEST_CASE("how2qa: wrong answers, times and numbers of fields are errors with line and value") {
  CHECK(contains(how2qa_problem_with("\nv,q,a,b,c,d,4,1,2"),
                 "line 3: column \"answer_id\": expected an option, 0 to 3, got 4"));
  CHECK(contains(how2qa_problem_with("v,q,a,b,c,d,0.5,1,2"), "got 0.5"));
  CHECK(contains(how2qa_problem_with("v,q,a,b,c,d,x,1,2"),
                 "\"answer_id\": expected a number, got \"x\""));
  CHECK(contains(how2qa_problem_with("v,q,a,b,c,d,0,1,two"),
                 "\"end\": expected a number, got \"two\""));
  CHECK(contains(how2qa_problem_with("v,q,a,b,c,d,0,3,2"), "got 3 to 2"));
  CHECK(contains(how2qa_problem_with("v,q,a,b,c,d,0,-3,2"), "got -3 to 2"));
  CHECK(contains(how2qa_problem_with("v,q,a,b"), "expected 9 fields as in the header, got 4"));
  CHECK(contains(how2qa_problem_with("v,\xFF,a,b,c,d,0,1,2"), "column \"question\" is not UTF-8"));
  CHECK(contains(how2qa_problem_with("v,\"q,a,b,c,d,0,1,2"), "line 2: a quote"));
}
