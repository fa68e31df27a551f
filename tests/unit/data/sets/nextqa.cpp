// NExT-QA's and IntentQA's annotations: ids, types, texts that look like nothing, and each thing
// that can be wrong.
#include "tests/unit/data/read_as.h"

using namespace bovila;
using testing::contains;
using testing::problem_of;
using testing::read_as;

namespace {

const std::string kNextqaHeader =
    "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n";
const std::string kIntentqaHeader =
    "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4,action,lemma,"
    "lemma_id\n";

std::string nextqa_problem_with(const std::string& row) {
  return problem_of("nextqa", "train.csv", kNextqaHeader + row);
}

}  // namespace

TEST_CASE("nextqa: a question is read, its type with its published number") {
  const auto samples =
      read_as("nextqa", "train.csv",
              kNextqaHeader +
                  "4010069381,369,640,480,how do the two man play ,2,6,CH,a,\"b, c\",d,e,f\n"
                  "7,1,1,1,q,4,0,DO,a,b,c,d,e\n");
  REQUIRE(samples.size() == 2);
  const Sample& sample = samples[0];
  CHECK(sample.question_id == "4010069381_6");
  CHECK(sample.video_id == "4010069381");
  CHECK(sample.question == "How do the two man play?");
  CHECK(sample.options == std::vector<std::string>{"a", "b, c", "d", "e", "f"});
  CHECK(sample.answer == 2);
  CHECK(sample.types == std::vector<std::string>{"CH"});
  CHECK(sample.question_type == 1);
  REQUIRE(sample.clip.size() == 1);
  CHECK(sample.clip[0].video == "4010069381");
  CHECK(sample.clip[0].last == FrameSpan::kToEnd);
  CHECK_FALSE(sample.about_dialogue);
  CHECK(samples[1].question_type == 8);
}

TEST_CASE("nextqa: None, NA and a blank are options like any other") {
  const auto samples =
      read_as("nextqa", "train.csv", kNextqaHeader + "1,1,1,1,q,0,0,DC,None,NA,nan,,null");
  CHECK(samples[0].options == std::vector<std::string>{"None", "NA", "nan", "", "null"});
}

TEST_CASE("nextqa: hidden answers, and wrong ones, types, columns and ids") {
  CHECK_FALSE(
      read_as("nextqa", "train.csv", kNextqaHeader + "1,1,1,1,q,,0,TP,a,b,c,d,e")[0].answer);
  CHECK(contains(nextqa_problem_with("1,1,1,1,q,5,0,TP,a,b,c,d,e"),
                 "line 2: column \"answer\": expected an option, 0 to 4, got \"5\""));
  CHECK(contains(nextqa_problem_with("1,1,1,1,q,1.0,0,TP,a,b,c,d,e"), "got \"1.0\""));
  CHECK(contains(nextqa_problem_with("1,1,1,1,q,1,0,XX,a,b,c,d,e"),
                 "column \"type\": expected one of CH, CW, TN, TC, TP, DL, DC, DO, got \"XX\""));
  CHECK(contains(nextqa_problem_with("1,1,1,1,q,1,0,TP,a,b,c,d,e\n1,1,1,1,q,1,0,TP,a,b,c,d,e"),
                 "line 3: the id \"1_0\" is that of line 2 too"));
  CHECK(contains(problem_of("nextqa", "train.csv", kIntentqaHeader),
                 "column \"video\" is missing from the header"));
  CHECK(contains(nextqa_problem_with(""), "holds no question"));
}

TEST_CASE(
    "intentqa: NExT-QA's columns with more behind them; an id that comes twice is told apart") {
  const auto samples = read_as("intentqa", "train.csv",
                               kIntentqaHeader +
                                   "9,1,1,1,why,1,3,CW,a,b,c,d,e,go,go,1\n"
                                   "9,1,1,1,how,2,3,CH,a,b,c,d,e,go,go,1\n");
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].question_id == "9_3");
  CHECK(samples[1].question_id == "9_3_line3");
  CHECK(samples[1].answer == 2);
  CHECK(samples[1].types == std::vector<std::string>{"CH"});
  CHECK(contains(problem_of("intentqa", "train.csv", kNextqaHeader),
                 "column \"video_id\" is missing from the header"));
}
