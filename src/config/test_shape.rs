//! What a `*.test.yaml` file may hold, key by key: the one description that validation, schema and messages share.

use super::{
    raw::{Expect, Place},
    scalar::Scalar,
    shape::{Hush, MapShape, Shape, Together, key, map, scalar},
};

pub(crate) static TESTS: MapShape = map(
    "policy tests",
    &[
        key("tenant", scalar(Scalar::TenantName), "The tenant whose policy is tested.")
            .required()
            .like("acme"),
        key("cases", Shape::List(&CASES), "The cases, each for itself.").required(),
    ],
);

static CASES: Shape = Shape::Map(&CASE);

static CASE: MapShape = MapShape {
    title: "case",
    keys: &[
        key("call", scalar(Scalar::Text), "The tool that is called.").like("crm__create_ticket"),
        key("model", scalar(Scalar::Text), "The model that is asked for.").like("gpt-5"),
        key("args", Shape::Any, "The call's arguments; without them, it has none.").like("{ title: hi }"),
        key(
            "place",
            scalar(Scalar::Word(Place::WORDS)),
            "Where the call meets the gateway; without it, in all places where one is made: emitted, mcp and http.",
        ),
        key(
            "key",
            scalar(Scalar::Id),
            "The key, by its id, that the call comes with; without it, none narrows it.",
        )
        .like("batch"),
        key("now", scalar(Scalar::When), "What time it is for conditions; without it, the time of the test.")
            .like("2027-06-30T12:00:00Z"),
        key("expect", scalar(Scalar::Word(Expect::WORDS)), "What should be decided.").required(),
        key("because", scalar(Scalar::Text), "The reason that should be given.")
            .like("Deletions go through support."),
        key("becomes", Shape::Any, "The arguments that should go on, where a rule sets some.")
            .like("{ title: hi }"),
    ],
    rules: &[
        Together::ExactlyOne(&["call", "model"]),
        Together::Needs { key: "args", other: "call" },
        Together::Needs { key: "place", other: "call" },
        Together::Needs { key: "becomes", other: "call" },
    ],
    hush: Hush::Shown,
};
