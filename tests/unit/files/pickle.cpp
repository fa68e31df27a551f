// Proves files/pickle.h: every opcode that torch.save writes, and that hostile bytes end in an
// error within bounded memory. Pickles are made by hand, see pth_builder.h.
#include "bovila/files/pickle.h"

#include <doctest/doctest.h>

#include <array>

#include "tests/unit/files/pth_builder.h"

namespace {

using namespace bovila::test;
using bovila::parse_pickle;
using bovila::PickleKind;
using bovila::PickleTree;

const std::string kWhere = "f.pth: entry a/data.pkl";

PickleTree parse(const std::string& body) {
  return parse_pickle(pickle(body), kWhere);
}

std::string pickle_error_of(const std::string& bytes) {
  const std::string message = user_error_of([&] { parse_pickle(bytes, kWhere); });
  CHECK(message.starts_with(kWhere + ": byte "));
  return message;
}

std::string body_error(const std::string& body) {
  return pickle_error_of(pickle(body));
}

}  // namespace

TEST_CASE("numbers of every opcode have their value and sign") {
  const std::vector<std::pair<std::string, int64_t>> cases{
      {std::string("K\xff"), 255},
      {std::string("M\xff\xff"), 65535},
      {std::string("J\xff\xff\xff\xff"), -1},
      {std::string("J\xff\xff\xff\x7f"), INT32_MAX},
      {std::string("\x8a\0", 2), 0},
      {std::string("\x8a\x01\xfe"), -2},
      {std::string("\x8a\x03\0\0\x01", 5), 65536},
      {"\x8a\x08" + little(UINT64_MAX, 8), -1},
      {"\x8b" + little(8, 4) + little(INT64_MAX, 8), INT64_MAX}};
  for (const auto& [body, value] : cases) CHECK(parse(body).root().as_int() == value);
  CHECK(parse(std::string("G\x3f\xf8\0\0\0\0\0\0", 9)).root().as_float() == 1.5);
  CHECK(parse("\x88").root().as_bool());
  CHECK_FALSE(parse("\x89").root().as_bool());
  CHECK(parse("N").root().kind() == PickleKind::kNone);
}

TEST_CASE("texts and bytes of every length opcode come back") {
  CHECK(parse(text("a/b \xC3\xA9")).root().as_text() == "a/b \xC3\xA9");
  CHECK(parse("\x8c\x03"
              "abc")
            .root()
            .as_text() == "abc");
  CHECK(parse("\x8d" + little(3, 8) + "abc").root().as_text() == "abc");
  CHECK(parse("C\x02\xff\xfe").root().as_text() == "\xff\xfe");
  CHECK(parse("B" + little(2, 4) + "\xff\xfe").root().kind() == PickleKind::kBytes);
  CHECK(parse("\x8e" + little(0, 8)).root().as_text().empty());
}

TEST_CASE("containers keep their order, whichever opcodes built them") {
  const PickleTree list = parse(
      "](K\x01K\x02"
      "eK\x03"
      "a");
  REQUIRE(list.root().size() == 3);
  CHECK(list.root().at(2).as_int() == 3);
  CHECK(parse("(K\x01K\x02l").root().size() == 2);
  CHECK(parse("K\x01K\x02K\x03\x87").root().size() == 3);
  CHECK(parse(")").root().size() == 0);
  const PickleTree dict = parse("}" + text("z") + "K\x01s(" + text("a") + "K\x02K\x07K\x03u");
  REQUIRE(dict.root().size() == 3);
  CHECK(dict.root().key(0).as_text() == "z");
  CHECK(dict.root().key(2).as_int() == 7);
  CHECK(dict.root().find("a")->as_int() == 2);
  CHECK_FALSE(dict.root().find("b").has_value());
  CHECK(parse("(" + text("a") +
              "K\x01"
              "d")
            .root()
            .size() == 1);
}

TEST_CASE("memo, POP, POP_MARK and frames work as in Python") {
  const PickleTree twice = parse(
      "]q\x05"
      "0h\x05h\x05\x86");
  CHECK(twice.root().size() == 2);
  CHECK(parse("K\x01\x94"
              "0(K\x02K\x03"
              "1j" +
              little(0, 4))
            .root()
            .as_int() == 1);
  CHECK(parse_pickle("\x80\x04\x95" + little(2, 8) + "N.", kWhere).root().kind() ==
        PickleKind::kNone);
  CHECK(parse("Nr" + little(UINT32_MAX, 4)).root().kind() == PickleKind::kNone);
  CHECK(parse("N(0").root().kind() == PickleKind::kNone);
}

TEST_CASE("a list that holds itself is only a link") {
  const PickleTree tree = parse(
      "]q\x01h\x01"
      "a");
  CHECK(tree.root().at(0).at(0).at(0).size() == 1);
}

TEST_CASE("a tensor is described with its key as name") {
  const PickleTree tree = parse(dict({{"v", tensor({.shape = {3, 4},
                                                    .type = "HalfStorage",
                                                    .key = "7",
                                                    .storage_numel = 100,
                                                    .offset = 5,
                                                    .strides = {1, 3}})}}));
  REQUIRE(tree.num_tensors() == 1);
  const bovila::PthTensor found = tree.root().at(0).as_tensor();
  CHECK(found.name == "v");
  CHECK(found.type == bovila::ElementType::kFloat16);
  CHECK(found.shape == std::vector<int64_t>{3, 4});
  CHECK(found.strides == std::vector<int64_t>{1, 3});
  CHECK(found.storage == "7");
  CHECK(found.storage_numel == 100);
  CHECK(found.offset == 5);
  CHECK(found.num_bytes() == 24);
  CHECK_FALSE(found.is_contiguous());
}

TEST_CASE("storages of every type have PyTorch's names and sizes") {
  const std::array<std::array<const char*, 2>, 10> types{{{"Half", "float16"},
                                                          {"BFloat16", "bfloat16"},
                                                          {"Float", "float32"},
                                                          {"Double", "float64"},
                                                          {"Char", "int8"},
                                                          {"Short", "int16"},
                                                          {"Int", "int32"},
                                                          {"Long", "int64"},
                                                          {"Byte", "uint8"},
                                                          {"Bool", "bool"}}};
  for (const auto& [storage, name] : types) {
    const auto found =
        parse(tensor({.shape = {1}, .type = std::string(storage) + "Storage"})).root().as_tensor();
    CHECK(bovila::name_of(found.type) == name);
  }
}

TEST_CASE("parameters, torch.Size, ordered dicts with metadata and namespaces are unwrapped") {
  const std::string inner = tensor({.shape = {2}});
  const PickleTree parameter = parse(dict(
      {{"w", global("torch._utils", "_rebuild_parameter") + tuple({inner, "\x88", "}"}) + "R"}}));
  CHECK(parameter.root().at(0).as_tensor().name == "w");
  CHECK(parse(global("torch.nn.parameter", "Parameter") + tuple({inner}) + "R").root().kind() ==
        PickleKind::kTensor);
  CHECK(parse(global("torch", "Size") + tuple({integers({4, 5})}) + "R").root().at(1).as_int() ==
        5);
  const std::string ordered = global("collections", "OrderedDict") + ")R(" + text("a") + "K\x01u";
  CHECK(parse(ordered + dict({{"_metadata", "}"}}) + "b").root().size() == 1);
  const PickleTree space =
      parse(global("argparse", "Namespace") + ")\x81" + dict({{"lr", "K\x09"}}) + "b");
  CHECK(space.root().kind() == PickleKind::kObject);
  CHECK(space.root().find("lr")->as_int() == 9);
  CHECK(parse(text("collections") + text("OrderedDict") + "\x93)R").root().size() == 0);
}

TEST_CASE("any other callable gives an opaque value that knows its class") {
  const Playground playground;
  const auto class_of = [](const std::string& body) {
    const PickleTree tree = parse(body);
    REQUIRE(tree.root().kind() == PickleKind::kOpaque);
    return tree.root().class_name();
  };
  const std::string proof = playground / "ran";
  CHECK(class_of(global("os", "system") + tuple({text("touch " + proof)}) + "R") == "os.system");
  CHECK_FALSE(std::filesystem::exists(proof));
  CHECK(class_of(global("torch", "float16")) == "torch.float16");
  CHECK(class_of(text("pathlib") + text("PosixPath") + "\x93" + tuple({text("a")}) + "R") ==
        "pathlib.PosixPath");
  CHECK(class_of(global("collections.OrderedDict", "")) == "collections.OrderedDict.");
  CHECK(class_of(global(std::string(300, 'm'), "x")) == std::string(200, 'm') + ".x");
}

TEST_CASE("what an opaque object holds is passed over") {
  const std::string object = global("a", "B") + ")\x81";
  for (const std::string& filling : {std::string("}b"),
                                     std::string("N}\x86"
                                                 "b"),
                                     std::string("K\x01"
                                                 "b"),
                                     std::string("(K\x01K\x02"
                                                 "e"),
                                     std::string("K\x01"
                                                 "a"),
                                     "(" + text("k") + "K\x01u", text("k") + "K\x01s",
                                     std::string(")R"), std::string(")\x81")}) {
    const PickleTree tree = parse(dict({{"o", object + filling}, {"n", "K\x05"}}));
    CHECK(tree.root().at(0).class_name() == "a.B");
    CHECK(tree.root().at(1).as_int() == 5);
  }
}

TEST_CASE("a tensor of an unknown storage is opaque, also as a parameter") {
  const std::string unknown = tensor({.shape = {2}, .type = "ComplexFloatStorage"});
  CHECK(parse(unknown).root().class_name() == "torch.ComplexFloatStorage");
  CHECK(parse(unknown).num_tensors() == 0);
  CHECK(parse(global("torch._utils", "_rebuild_parameter") + tuple({unknown, "\x88", "}"}) + "R")
            .root()
            .class_name() == "torch.ComplexFloatStorage");
}

TEST_CASE("opcodes that torch.save does not write are errors") {
  for (const char* opcode : {"i", "o", "\x82", "P", "I", "S", "\x92", "\x97"}) {
    CHECK(has(body_error(opcode), "expected an opcode that torch.save writes"));
  }
}

TEST_CASE("calls with wrong arguments are errors") {
  CHECK(has(body_error(global("collections", "OrderedDict") + tuple({"]"}) + "R"), "no arguments"));
  CHECK(has(body_error(global("torch", "FloatStorage") + ")R"), "cannot be called"));
  CHECK(has(body_error(global("torch", "Size") + ")R"), "expected a tuple for torch.Size"));
  CHECK(has(body_error("K\x01)R"), "expected a callable, got int"));
  CHECK(has(body_error(global("torch", "Size") + "]R"), "tuple of arguments"));
  CHECK(has(body_error(global("torch._utils", "_rebuild_tensor_v2") + ")R"), "expected storage"));
  CHECK(has(body_error(global("torch.nn.parameter", "Parameter") + tuple({"N"}) + "R"), "tensor"));
  CHECK(has(body_error("]]b"), "expected a dict as an object's state"));
  CHECK(has(body_error("]}b"), "expected a new object"));
  CHECK(has(body_error("K\x01K\x02\x93"), "a module's and a callable's name"));
}

TEST_CASE("tensors of impossible numbers are errors") {
  CHECK(has(body_error(tensor({.shape = {-1}, .storage_numel = 1})), "size of 0 or more, got -1"));
  CHECK(has(body_error(tensor({.shape = {1}, .strides = {-1}})), "stride of 0 or more"));
  CHECK(has(body_error(tensor({.shape = {1}, .offset = -4})), "offset of 0 or more, got -4"));
  CHECK(has(body_error(tensor({.shape = {1, 1}, .strides = {1}})), "differ in length"));
  CHECK(has(body_error(tensor({.shape = std::vector<int64_t>(65, 1)})), "at most 64"));
  CHECK(has(body_error(tuple({text("storage")}) + "Q"), "storage of five parts"));
  CHECK(has(body_error(tuple({text("x"), "N", "N", "N", "N"}) + "Q"), "expected a storage"));
  CHECK(
      has(body_error(tuple({text("storage"), global("torch", "Size"), text("0"), "N", "N"}) + "Q"),
          "torch.Size is no storage's type"));
  CHECK(
      has(body_error(tuple({text("storage"), global("torch", "IntStorage"), "N", "N", "N"}) + "Q"),
          "a storage's key"));
}

TEST_CASE("keys of any other kind are kept and found by nobody") {
  const PickleTree tree = parse("}(N" + text("a") + "\x88" + text("b") + text("c") + "K\x01u");
  CHECK(tree.root().size() == 3);
  CHECK(tree.root().key(0).kind() == PickleKind::kNone);
  CHECK(tree.root().find("c")->as_int() == 1);
}

TEST_CASE("a duplicate key is an error that names it, in one dict only") {
  CHECK(has(body_error(dict({{"same", "N"}, {"same", "N"}})), "the name \"same\" is there twice"));
  CHECK(has(body_error("}(K\x05NK\x05Nu"), "the name \"5\" is there twice"));
  CHECK(parse(dict({{"a", dict({{"a", "N"}})}, {"b", dict({{"a", "N"}})}})).root().size() == 2);
}

TEST_CASE("keys that are no names are errors") {
  CHECK(has(body_error("}(]Nu"), "expected a hashable value as a dict's key, got list"));
  CHECK(has(body_error("}(K\x01u"), "has no value"));
  CHECK(
      has(body_error(dict({{std::string(5000, 'x'), "N"}})), "5000 bytes, expected at most 4096"));
  CHECK(has(body_error(text("\xff")), "UTF-8"));
  CHECK(has(body_error(text("\xed\xa0\x80")), "UTF-8"));
}

TEST_CASE("stack and memo never go below their bottom") {
  for (const char* body : {"0", "a", "s", "u", "e", "t", "d", "l", "1", "\x85", "R", "b", "Q",
                           "\x93", "(s", "](e(a", "(N\x86", "q\x01", "\x94"}) {
    CAPTURE(body);
    CHECK_FALSE(body_error(body).empty());
  }
  CHECK(has(body_error("h\x01"), "memo entry 1 was never set"));
  CHECK(has(body_error("NN"), "values left over"));
  CHECK(has(body_error("(N"), "values left over"));
  CHECK(has(body_error("KKNa"), "expected a list to append to"));
  CHECK(has(body_error("]NNs"), "expected a dict to put items into"));
}

TEST_CASE("lengths beyond the pickle's end are errors, however large") {
  CHECK(has(body_error("X" + little(UINT32_MAX, 4)), "cut short"));
  CHECK(has(body_error("\x8d" + little(UINT64_MAX, 8)), "cut short"));
  CHECK(has(body_error("\x8e" + little(INT64_MAX, 8)), "cut short"));
  CHECK(has(body_error("\x8b" + little(UINT32_MAX, 4)), "at most 64 bits"));
  CHECK(has(body_error("\x8a\x09" + std::string(9, '\1')), "at most 64 bits"));
  CHECK(has(body_error("cos"), "has no end"));
  CHECK(has(pickle_error_of(""), "cut short"));
  CHECK(has(pickle_error_of("\x80\x02"), "cut short"));
  CHECK(has(pickle_error_of("\x80\x01N."), "protocol 2 to 5, got 1"));
}

TEST_CASE("a truncated pickle is an error at every length") {
  const std::string whole = pickle(dict({{"a", tensor({.shape = {2, 3}})}, {"b", "N"}}));
  for (size_t size = 0; size < whole.size(); ++size) {
    CHECK_THROWS_AS(parse_pickle(whole.substr(0, size), kWhere), bovila::UserError);
  }
}

TEST_CASE("any one changed byte gives a tree or a UserError, nothing else") {
  const std::string whole = pickle(dict({{"a", tensor({.shape = {2, 3}})},
                                         {"b",
                                          "]K\x01"
                                          "a"}}));
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = whole;
      changed[at] = static_cast<char>(value);
      try {
        const PickleTree tree = parse_pickle(changed, kWhere);
        for (size_t i = 0; i < tree.num_tensors(); ++i) (void)tree.tensor(i);
      } catch (const bovila::UserError&) {
      }
    }
  }
}

TEST_CASE("deep nesting and doubling links cost no more than the pickle's bytes") {
  const size_t depth = 1'000'000;
  std::string nested(depth, ']');
  nested.append(depth - 1, 'a');
  CHECK(parse(nested).root().size() == 1);
  std::string doubling =  // each list holds the one before twice: 2^1000 when spelt out
      "]q\x01"
      "0";
  for (int i = 0; i < 1000; ++i) {
    doubling +=
        "(h\x01h\x01lq\x01"
        "0";
  }
  CHECK(parse(doubling + "h\x01").root().size() == 2);
}

TEST_CASE("a pickle too large to be a list of tensors is an error before it is read") {
  const std::string message =
      user_error_of([] { parse_pickle(std::string((size_t{64} << 20) + 1, 'N'), kWhere); });
  CHECK(has(message, "expected at most 67108864 bytes"));
}

TEST_CASE("asking a value for what it is not is a program error") {
  const PickleTree tree = parse("]");
  CHECK_THROWS_AS((void)tree.root().as_int(), bovila::ProgramError);
  CHECK_THROWS_AS((void)tree.root().as_text(), bovila::ProgramError);
  CHECK_THROWS_AS((void)tree.root().as_tensor(), bovila::ProgramError);
  CHECK_THROWS_AS((void)tree.root().at(0), bovila::ProgramError);
  CHECK_THROWS_AS((void)tree.root().key(0), bovila::ProgramError);
  CHECK_THROWS_AS((void)parse("N").root().size(), bovila::ProgramError);
}
