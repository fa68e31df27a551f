// Subtitles as they are found in the wild: nothing in an .srt may stop a run.
#include "bovila/data/subtitles.h"

#include "tests/unit/temp_folder.h"

using namespace bovila;
using testing::contains;
using testing::error_of;
using testing::TempFolder;

namespace {

std::vector<std::string> texts_of(std::string_view srt) {
  std::vector<std::string> texts;
  for (const Subtitle& subtitle : parse_srt(srt)) texts.push_back(subtitle.text);
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("srt: times drop milliseconds and hours, texts keep their lines and tags") {
  const auto subtitles = parse_srt(
      "1\n00:00:01,999 --> 00:01:04,500\n<i>Hello</i>\nthere\n\n"
      "2\n01:02:03,000 --> 01:02:04,000\nx\n");
  REQUIRE(subtitles.size() == 2);
  CHECK(subtitles[0].start_s == 1);
  CHECK(subtitles[0].end_s == 64);
  CHECK(subtitles[0].text == "<i>Hello</i>\nthere");
  CHECK(subtitles[1].start_s == 123);
}

TEST_CASE("srt: a byte-order mark, CRLF, CR and trailing blanks make no difference") {
  const std::string_view plain =
      "1\n00:00:01,0 --> 00:00:02,0\na\nb\n\n2\n00:00:03,0 --> 00:00:04,0\nc";
  const Texts expected = {"a\nb", "c"};
  CHECK(texts_of(plain) == expected);
  for (const std::string_view line_end : {"\r\n", "\r", "  \n"}) {
    std::string text = "\xEF\xBB\xBF";
    for (const char c : plain) c == '\n' ? text += line_end : text += c;
    CHECK(texts_of(text) == expected);
  }
}

TEST_CASE("srt: missing index lines and missing blank lines between subtitles are read") {
  CHECK(texts_of("00:00:01,0 --> 00:00:02,0\na\n\n00:00:03,0 --> 00:00:04,0\nb") ==
        Texts{"a", "b"});
  CHECK(texts_of("1\n00:00:01,0 --> 00:00:02,0\na\n2\n00:00:03,0 --> 00:00:04,0\nb") ==
        Texts{"a", "b"});
  CHECK(texts_of("1\n00:00:01,0 --> 00:00:02,0\n42\n\n2\n00:00:03,0 --> 00:00:04,0\nb") ==
        Texts{"42", "b"});
}

TEST_CASE("srt: blank and missing texts give blank subtitles") {
  CHECK(texts_of("1\n00:00:01,0 --> 00:00:02,0\n\n2\n00:00:03,0 --> 00:00:04,0\n   \n\n"
                 "3\n00:00:05,0 --> 00:00:06,0") == Texts{"", "", ""});
}

TEST_CASE("srt: times out of order keep the file's order") {
  const auto subtitles =
      parse_srt("1\n00:00:09,0 --> 00:00:02,0\na\n\n2\n00:00:03,0 --> 00:00:04,0\nb");
  REQUIRE(subtitles.size() == 2);
  CHECK(subtitles[0].start_s == 9);
  CHECK(subtitles[0].end_s == 2);
  CHECK(subtitles[1].start_s == 3);
}

TEST_CASE("srt: points for commas, no milliseconds and a position behind the times are read") {
  const auto subtitles = parse_srt("0:0:1.5-->0:0:2 X1:40 Y1:20\na\n");
  REQUIRE(subtitles.size() == 1);
  CHECK(subtitles[0].end_s == 2);
  CHECK(subtitles[0].text == "a");
}

TEST_CASE("subtitles: lines that are not UTF-8 are Windows-1252") {
  TextEncoding encoding{};
  CHECK(decode_text("caf\u00E9 d\u2019or\n", encoding) == "caf\u00E9 d\u2019or\n");
  CHECK(encoding == TextEncoding::kUtf8);
  CHECK(decode_text("caf\xE9 d\x92or\n\u00E9", encoding) == "caf\u00E9 d\u2019or\n\u00E9");
  CHECK(encoding == TextEncoding::kWindows1252);
  CHECK(decode_text("\xEF\xBB\xBF\x80\x81\xFF", encoding) == "\u20AC\u0081\u00FF");
}

TEST_CASE("subtitles: UTF-16 is known by its mark, and half a character is replaced") {
  TextEncoding encoding{};
  CHECK(decode_text(std::string_view("\xFF\xFE"
                                     "a\0\xE9\0\n\0",
                                     8),
                    encoding) == "a\u00E9\n");
  CHECK(encoding == TextEncoding::kUtf16);
  CHECK(decode_text(std::string_view("\xFE\xFF\0a\xD8\x3D\xDE\x00", 8), encoding) == "a\U0001F600");
  CHECK(decode_text(std::string_view("\xFE\xFF\xD8\x3D\0", 5), encoding) == "\uFFFD\uFFFD");
}

TEST_CASE("vtt: headers are passed over, times may have no hours") {
  CHECK(texts_of("WEBVTT - a title\n\nNOTE by hand\n\n00:01.000 --> 00:03.000 align:start\na\n\n"
                 "intro\n01:00:04.000 --> 01:00:05.000\nb\n") == Texts{"a", "b"});
  const auto subtitles = parse_srt("01:02.500 --> 59:03.000\na\n");
  REQUIRE(subtitles.size() == 1);
  CHECK(subtitles[0].start_s == 62);
  CHECK(subtitles[0].end_s == 59 * 60 + 3);
}

TEST_CASE("srt: what belongs to no valid time line is skipped") {
  CHECK(texts_of("").empty());
  CHECK(texts_of("hello\nworld\n").empty());
  CHECK(texts_of("1\nxx:00:01,0 --> 00:00:02,0\nlost\n\n2\n00:00:03,0 --> 00:00:04,0\nb") ==
        Texts{"b"});
  CHECK(texts_of("99999999999:00:01,0 --> 00:00:02,0\nlost").empty());
  CHECK(texts_of(std::string_view("\0\n-->\n00:00:01,0 -->\n--> 00:00:01,0", 36)).empty());
}

TEST_CASE("srt: any cut of a file is read without a failure") {
  const std::string text =
      "\xEF\xBB\xBF"
      "1\r\n00:00:01,000 --> 00:00:02,000\r\n\u00E9\r\n\r\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    CHECK(parse_srt(std::string_view(text).substr(0, size)).size() <= 1);
  }
}

TEST_CASE("subtitles: the published rule says which belong to a clip") {
  CHECK(in_clip({3, 5, ""}, 3, 5));
  CHECK(in_clip({1, 4, ""}, 3, 5));  // runs into the clip
  CHECK(in_clip({1, 3, ""}, 3, 5));
  CHECK_FALSE(in_clip({1, 2, ""}, 3, 5));
  CHECK_FALSE(in_clip({4, 6, ""}, 3, 5));  // runs out of it
  CHECK_FALSE(in_clip({1, 9, ""}, 3, 5));  // covers it
}

TEST_CASE("subtitles: a folder reads each file once and knows missing ones as empty") {
  const TempFolder folder;
  const std::string path = folder.write("v1.srt", "1\n00:00:01,0 --> 00:00:02,0\na\n");
  SrtFolder subtitles(folder.path());
  CHECK(subtitles.of("v1").size() == 1);
  std::filesystem::remove(path);
  CHECK(subtitles.of("v1").size() == 1);
  CHECK(subtitles.of("v2").empty());
  CHECK_NOTHROW(subtitles.report());
  folder.write("v3.vtt", "WEBVTT\n\n00:01.0 --> 00:02.0\nb\n");
  CHECK(subtitles.of("v3").size() == 1);
}

TEST_CASE("subtitles: a missing folder is an error that says what to do") {
  const std::string message = error_of([] { SrtFolder("/nowhere/tvqa_subtitles"); });
  CHECK(contains(message, "/nowhere/tvqa_subtitles"));
  CHECK(contains(message, "data.subtitles"));
}

TEST_CASE("vlep subtitles: times are truncated, missing and null texts are blank") {
  const TempFolder folder;
  SubtitleLines videos(folder.write(
      "s.jsonl",
      R"({"vid_name": "v", "sub": [{"start": 1.99, "end": 3.5, "text": "a"}, {"start": 2, "end": 1},)"
      R"( {"start": 0, "end": 1, "text": null}]})"
      "\n\n"
      R"({"vid_name": "w", "sub": []})"
      "\n"));
  const auto& v = videos.of("v");
  REQUIRE(v.size() == 3);
  CHECK(v[0].start_s == 1);
  CHECK(v[0].end_s == 3);
  CHECK(v[0].text == "a");
  CHECK(v[1].text == "");
  CHECK(v[2].text == "");
  CHECK(videos.of("w").empty());
  CHECK(videos.of("x").empty());
}

TEST_CASE("vlep subtitles: all that is wrong is listed with its line") {
  const TempFolder folder;
  const std::string path =
      folder.write("s.jsonl",
                   "{\"sub\": []}\n"
                   "{\"vid_name\": \"v\", \"sub\": [{\"start\": \"1\"}]}\n"
                   "{\"vid_name\": \"v\", \"sub\": [7]}\n"
                   "{\"vid_name\": \"v\", \"sub\": [{\"start\": 1e300, \"end\": 1}]}\n"
                   "{\"vid_name\"\n");
  const std::string message = error_of([&] { SubtitleLines{path}; });
  CHECK(contains(message, "line 1: \"vid_name\" is missing"));
  CHECK(contains(message, "line 2: \"start\": expected a number, got \"1\""));
  CHECK(contains(message, "line 2: \"end\" is missing"));
  CHECK(contains(message, "line 3: \"sub\": expected a list of objects"));
  CHECK(contains(message, "line 4: \"start\": 1e+300 is no time"));
  CHECK(contains(message, "line 5: not JSON"));
  CHECK(contains(error_of([] { SubtitleLines{"/nowhere/s.jsonl"}; }), "is missing"));
}
