#include "gigacat/io/pickle.h"

#include <gmock/gmock.h>

#include "helpers.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;
using Kind = PickleValue::Kind;

std::string refused(std::string_view bytes) {
  PickleArena arena;
  return error_of([&] { arena.parse(bytes_of(bytes), "file"); });
}

TEST(Pickle, WhatIsWrittenIsReadBack) {
  PickleArena made;
  PickleValue* root = made.dict();
  root->entries.emplace_back(made.text("none"), made.none());
  root->entries.emplace_back(made.text("yes"), made.boolean(true));
  root->entries.emplace_back(made.text("large"), made.integer(-(int64_t{1} << 40)));
  root->entries.emplace_back(made.text("pi"), made.real(3.25));
  root->entries.emplace_back(made.integer(7), made.list({made.text("a"), made.integer(-3)}, true));
  root->entries.emplace_back(made.text("call"), made.call("module.sub.name", {made.persistent({made.text("x")})}));
  const std::string bytes = write_pickle(*root);
  PickleArena arena;
  size_t used = 0;
  const PickleValue* read = arena.parse(bytes_of(bytes + "rest"), "file", &used);
  EXPECT_EQ(used, bytes.size());
  ASSERT_EQ(read->entries.size(), 6u);
  EXPECT_TRUE(read->find("none")->is(Kind::none));
  EXPECT_EQ(read->find("yes")->integer, 1);
  EXPECT_EQ(read->find("large")->integer, -(int64_t{1} << 40));
  EXPECT_EQ(read->find("pi")->real, 3.25);
  EXPECT_EQ(read->entries[4].first->integer, 7);
  EXPECT_EQ(read->entries[4].second->items[1]->integer, -3);
  EXPECT_TRUE(read->entries[4].second->tuple);
  EXPECT_EQ(read->find("call")->name(), "module.sub.name");
  EXPECT_EQ(read->find("call")->args->items[0]->args->items[0]->text, "x");
  EXPECT_EQ(read->find("absent"), nullptr);
}

TEST(Pickle, ACallIsANameAndNothingElse) {
  // os.system("true"), as a hostile file would hold it, in protocols 0 (GLOBAL) and 4 (STACK_GLOBAL).
  for (const std::string_view bytes :
       {std::string_view("\x80\x02"
                         "cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
                         26),
        std::string_view("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", 24)}) {
    PickleArena arena;
    const PickleValue* value = arena.parse(bytes_of(bytes), "file");
    EXPECT_TRUE(value->is(Kind::call));
    EXPECT_EQ(value->name(), "os.system");
    EXPECT_EQ(value->args->items.at(0)->text, "true");
  }
}

TEST(Pickle, AnOrderedDictIsADictionaryWithItsState) {
  PickleArena arena;
  const std::string bytes =
      "\x80\x02"
      "ccollections\nOrderedDict\n)RU\x01"
      "aK\x05s}b.";
  const PickleValue* value = arena.parse(bytes_of(bytes), "file");
  ASSERT_TRUE(value->is(Kind::dict));
  EXPECT_EQ(value->find("a")->integer, 5);
  ASSERT_NE(value->state, nullptr);
  EXPECT_TRUE(value->state->is(Kind::dict));
}

TEST(Pickle, IntegersOfAnyLength) {
  PickleArena arena;
  EXPECT_EQ(arena.parse(bytes_of(std::string_view("\x8a\x00.", 3)), "file")->integer, 0);
  EXPECT_EQ(arena.parse(bytes_of(std::string_view("\x8a\x01\xff.", 4)), "file")->integer, -1);
  EXPECT_EQ(arena.parse(bytes_of(std::string_view("\x8a\x02\xff\x00.", 5)), "file")->integer, 255);
  const PickleValue* big = arena.parse(bytes_of("\x8a\x0al\xfc\x9c"
                                                "F\xf9 j\xa8P\x19."),
                                       "file");
  EXPECT_TRUE(big->is(Kind::big));
  EXPECT_EQ(big->text.size(), 10u);
}

TEST(Pickle, DamagedOnesAreRefused) {
  EXPECT_THAT(refused(""), HasSubstr("ends inside"));
  EXPECT_THAT(refused("N"), HasSubstr("ends inside"));
  EXPECT_THAT(refused("."), HasSubstr("value is missing"));
  EXPECT_THAT(refused("X\xff\xff\xff\x7fshort"), HasSubstr("ends inside"));
  EXPECT_THAT(refused("\x8d\xff\xff\xff\xff\xff\xff\xff\xffshort"), HasSubstr("ends inside"));
  EXPECT_THAT(refused("h\x05."), HasSubstr("memo 5"));
  EXPECT_THAT(refused("t."), HasSubstr("mark"));
  EXPECT_THAT(refused("(0."), HasSubstr("value is missing"));
  EXPECT_THAT(refused("NNs."), HasSubstr("value is missing"));
  EXPECT_THAT(refused("NNNs."), HasSubstr("no dictionary"));
  EXPECT_THAT(refused("NNa."), HasSubstr("no list"));
  EXPECT_THAT(refused("}(Nu."), HasSubstr("without a value"));
  EXPECT_THAT(refused("NN\x93."), HasSubstr("no text"));
  EXPECT_THAT(refused("I12\n."), HasSubstr("opcode 73"));
  EXPECT_THAT(refused("cmodule"), HasSubstr("ends inside"));
}

TEST(Pickle, ACircleIsReadAndNotWritten) {
  PickleArena arena;
  const PickleValue* value = arena.parse(bytes_of(std::string_view("]q\x00h\x00"
                                                                   "a.",
                                                                   7)),
                                         "file");
  ASSERT_EQ(value->items.size(), 1u);
  EXPECT_EQ(value->items[0], value);
  EXPECT_THROW(write_pickle(*value), InternalError);
}

}  // namespace
}  // namespace gigacat::io
