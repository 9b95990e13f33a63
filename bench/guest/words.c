/* SPDX-License-Identifier: BSD-3-Clause */
/* words.c - the vocabulary of pages that look like text */
#include "words.h"

#define W(word)                         \
    {                                   \
        word " ", (uint8_t)sizeof(word) \
    }

/* clang-format off */
const struct word words[WORDS_COUNT] = {
    W("the"), W("of"), W("and"), W("to"), W("in"), W("a"), W("is"), W("that"), W("for"), W("it"), W("was"), W("on"),
    W("are"), W("as"), W("with"), W("his"), W("they"), W("at"), W("be"), W("this"), W("from"), W("have"), W("or"),
    W("by"), W("one"), W("had"), W("not"), W("but"), W("what"), W("all"), W("were"), W("when"), W("we"), W("there"),
    W("can"), W("an"), W("your"), W("which"), W("their"), W("said"), W("if"), W("do"), W("will"), W("each"),
    W("about"), W("how"), W("up"), W("out"), W("them"), W("then"), W("she"), W("many"), W("some"), W("so"),
    W("these"), W("would"), W("other"), W("into"), W("has"), W("more"), W("her"), W("two"), W("like"), W("him"),
    W("see"), W("time"), W("could"), W("no"), W("make"), W("than"), W("first"), W("been"), W("its"), W("who"),
    W("now"), W("people"), W("my"), W("made"), W("over"), W("did"), W("down"), W("only"), W("way"), W("find"),
    W("use"), W("may"), W("water"), W("long"), W("little"), W("very"), W("after"), W("words"), W("called"), W("just"),
    W("where"), W("most"), W("know"), W("get"), W("through"), W("back"), W("much"), W("before"), W("go"), W("good"),
    W("new"), W("write"), W("our"), W("used"), W("me"), W("man"), W("too"), W("any"), W("day"), W("same"), W("right"),
    W("look"), W("think"), W("also"), W("around"), W("another"), W("came"), W("come"), W("work"), W("three"),
    W("word"), W("must"), W("because"), W("does"), W("part"), W("even"), W("place"), W("well"), W("such"), W("here"),
    W("take"), W("why"), W("things"), W("help"), W("put"), W("years"), W("different"), W("away"), W("again"),
    W("off"), W("went"), W("old"), W("number"), W("great"), W("tell"), W("men"), W("say"), W("small"), W("every"),
    W("found"), W("still"), W("between"), W("name"), W("should"), W("home"), W("big"), W("give"), W("air"), W("line"),
    W("set"), W("own"), W("under"), W("read"), W("last"), W("never"), W("us"), W("left"), W("end"), W("along"),
    W("while"), W("might"), W("next"), W("sound"), W("below"), W("saw"), W("something"), W("thought"), W("both"),
    W("few"), W("those"), W("always"), W("looked"), W("show"), W("large"), W("often"), W("together"), W("asked"),
    W("house"), W("world"), W("going"), W("want"), W("school"), W("important"), W("until"), W("form"), W("food"),
    W("keep"), W("children"), W("feet"), W("land"), W("side"), W("without"), W("boy"), W("once"), W("animals"),
    W("life"), W("enough"), W("took"), W("sometimes"), W("four"), W("head"), W("above"), W("kind"), W("began"),
    W("almost"), W("live"), W("page"), W("got"), W("earth"), W("need"), W("far"), W("hand"), W("high"), W("year"),
    W("mother"), W("light"), W("parts"), W("country"), W("father"), W("let"), W("night"), W("following"),
    W("picture"), W("being"), W("study"), W("second"), W("eyes"), W("soon"), W("times"), W("story"), W("boys"),
    W("since"), W("white"), W("days"), W("ever"), W("paper"), W("hard"), W("near"), W("sentence"), W("better"),
    W("best"), W("across"),
};
/* clang-format on */
