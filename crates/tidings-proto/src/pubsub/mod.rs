//! Pub/Sub: what the frames mean, and which names are subscribed.

mod push;
mod subscriptions;

pub use push::{MessageKind, PubSubFrame, Record, Scan, classify, scan_message};
pub use subscriptions::{
    GapCause, OpId, Subscription, SubscriptionEvent, SubscriptionKind, SubscriptionState,
    Subscriptions, Verb,
};
