//! Random scripts.

use proptest::{collection::vec, prelude::*};

use super::*;

fn any_operation() -> impl Strategy<Value = Operation> {
    let any = 0_u8..12;
    let names = vec(0..NAMES.len() as u8, 1..4);
    prop_oneof![
        8 => names.clone().prop_map(Operation::Subscribe),
        3 => names.prop_map(Operation::Unsubscribe),
        10 => any.clone().prop_map(Operation::Publish),
        10 => Just(Operation::Flow),
        4 => (any.clone(), 1_u8..90).prop_map(|(link, bytes)| Operation::Trickle(link, bytes)),
        8 => Just(Operation::Connect),
        4 => (any.clone(), any.clone()).prop_map(|(slot, shard)| Operation::MoveSlot(slot, shard)),
        1 => any.clone().prop_map(Operation::DropSlot),
        2 => any.clone().prop_map(Operation::FailOver),
        2 => any.clone().prop_map(Operation::Kill),
        2 => any.clone().prop_map(Operation::Revive),
        1 => any.clone().prop_map(Operation::Isolate),
        2 => any.clone().prop_map(Operation::Heal),
        1 => (any.clone(), any.clone()).prop_map(|(node, shard)| Operation::ChangeSides(node, shard)),
        2 => any.prop_map(Operation::Cut),
        2 => Just(Operation::Elect),
        2 => proptest::bool::ANY.prop_map(Operation::ReadMap),
        4 => (1_u8..80).prop_map(Operation::Wait),
    ]
}

fn any_script(longest: usize) -> impl Strategy<Value = Script> {
    (any::<[bool; 3]>(), vec(any_operation(), 1..longest)).prop_map(
        |([resp3, silent, from_replicas], operations)| Script {
            resp3,
            silent,
            from_replicas,
            operations,
        },
    )
}

proptest! {
    #[test]
    fn whatever_happens_to_a_cluster_every_promise_holds(script in any_script(60)) {
        run(&script);
    }
}
