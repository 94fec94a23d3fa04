//! Pub/Sub: what the frames mean, and which names are subscribed.

mod push;
mod subscriptions;

pub use push::{MessageKind, PubSubFrame, Record, Scan, classify, scan_message};
pub(crate) use push::{message_head, next_message, scan_message_at};
pub(crate) use subscriptions::Moving;
pub use subscriptions::{
    GapCause, OpId, SubscriptionEvent, SubscriptionKind, SubscriptionState, SubscriptionStatus,
    Subscriptions, Verb,
};
