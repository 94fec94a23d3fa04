//! Random scripts.

use proptest::{collection::vec, prelude::*};

use super::*;

fn any_kind() -> impl Strategy<Value = SubscriptionKind> {
    prop::sample::select(&KINDS[..])
}

fn any_verb() -> impl Strategy<Value = Verb> {
    prop_oneof![Just(Verb::Subscribe), Just(Verb::Unsubscribe)]
}

fn any_names() -> impl Strategy<Value = Vec<u8>> {
    vec(0..NAMES.len() as u8, 0..4)
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let at = 0..NAMES.len() as u8;
    prop_oneof![
        8 => (any_kind(), any_names()).prop_map(|(kind, names)| Operation::Subscribe(kind, names)),
        5 => (any_kind(), any_names())
            .prop_map(|(kind, names)| Operation::Unsubscribe(kind, names)),
        1 => any_kind().prop_map(Operation::UnsubscribeAll),
        2 => (1_u8..4).prop_map(Operation::Request),
        2 => Just(Operation::Transaction),
        8 => Just(Operation::Transmit),
        4 => (1_u8..4).prop_map(Operation::Serve),
        4 => prop_oneof![1_u8..10, any::<u8>()].prop_map(Operation::Deliver),
        4 => Just(Operation::Flow),
        4 => at.clone().prop_map(Operation::Publish),
        2 => at.clone().prop_map(Operation::ShardPublish),
        2 => Just(Operation::Cut),
        5 => Just(Operation::Connect),
        1 => (any_kind(), at.clone()).prop_map(|(kind, at)| Operation::Deny(kind, at)),
        1 => (any_kind(), at.clone()).prop_map(|(kind, at)| Operation::Allow(kind, at)),
        1 => (any_verb(), any_kind()).prop_map(|(verb, kind)| Operation::Forbid(verb, kind)),
        1 => (any_verb(), any_kind()).prop_map(|(verb, kind)| Operation::Permit(verb, kind)),
        2 => any::<bool>().prop_map(Operation::Busy),
        1 => at.clone().prop_map(Operation::Bounce),
        1 => at.clone().prop_map(Operation::MoveAway),
        1 => at.prop_map(Operation::MoveBack),
        2 => (0_u8..60).prop_map(Operation::Wait),
        1 => Just(Operation::Pause),
        1 => Just(Operation::Resume),
    ]
}

fn any_script(longest: usize) -> impl Strategy<Value = Script> {
    (any::<[bool; 3]>(), vec(any_operation(), 1..longest)).prop_map(
        |([resp3, nosub, nests], operations)| Script {
            resp3,
            nosub,
            nests,
            operations,
        },
    )
}

proptest! {
    #[test]
    fn whatever_happens_every_promise_holds(script in any_script(40)) {
        run(&script);
    }

    #[test]
    fn any_bytes_are_a_script_that_holds(data in vec(any::<u8>(), 0..120)) {
        operations(&data);
    }
}
