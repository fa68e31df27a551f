// The versions of what runs, as a table and as JSON.
#include "bovila/dist/versions.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "bovila/core/build_info.h"

using namespace bovila;

TEST_CASE("the program and each library have a version, in the table's order") {
  std::vector<std::string> names;
  for (const auto& [name, text] : versions()) {
    names.push_back(name);
    CAPTURE(name);
    CHECK_FALSE(text.empty());
  }
  CHECK(names == std::vector<std::string>{"version", "git", "compiler", "flags", "build_type",
                                          "LibTorch", "CUDA", "NCCL", "MPI", "HDF5"});
}

TEST_CASE("the JSON is an object of texts, the table a line each") {
  const Versions some = {{"version", "0.2.0"}, {"MPI", "an \"MPI\""}};
  CHECK(nlohmann::json::parse(versions_json(some)) ==
        nlohmann::json({{"version", "0.2.0"}, {"MPI", "an \"MPI\""}}));
  CHECK(versions_table(some) == "  version  0.2.0\n  MPI      an \"MPI\"\n");
  CHECK(nlohmann::json::parse(versions_json(versions()))["git"] == build_info().git);
}
