// doctest's main for the golden tests; BOVILA_GOLDEN names the folder of golden numbers.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
