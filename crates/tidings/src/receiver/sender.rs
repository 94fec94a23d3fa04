//! What stands for one channel or pattern of a receiver, and how it is subscribed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidings_proto::Blob;
use tidings_proto::pubsub::SubscriptionKind;

use super::{Inner, State};
use crate::error::{Error, Result};
use crate::pubsub::queue::{Queue, SHARED_BOUNDS};
use crate::subscription::hub::{Hubbed, Seat};
use crate::subscription::{Source, SubscribeTo};

/// A receiver, as its senders have it: what changes in it is no part of what a sender is, and clippy, which looks through
/// all but `dyn`, does not warn of senders as the keys of a map.
type Home = Arc<dyn AsRef<Inner> + Send + Sync>;

/// One channel, pattern or shard channel of a [`Receiver`](crate::Receiver), where its messages are read.
///
/// To be given to [`Client::subscribe`](crate::Client::subscribe), [`psubscribe`](crate::Client::psubscribe) or
/// [`ssubscribe`](crate::Client::ssubscribe), alone or with others, and to [`unsubscribe`](crate::Client::unsubscribe)
/// and its like. Two are equal if they stand for the same name of the same receiver, so it may be the key of a map.
///
/// There is nothing to read here:
///
/// ```compile_fail,E0599
/// async fn read(sender: tidings::Sender) {
///     sender.get().await;
/// }
/// ```
#[derive(Clone)]
pub struct Sender {
    receiver: Home,
    kind: SubscriptionKind,
    name: Blob,
    /// Why there is no such name.
    misuse: Option<Error>,
}

impl Sender {
    pub(super) fn new(receiver: &Arc<Inner>, kind: SubscriptionKind, name: Blob) -> Self {
        Self {
            receiver: Arc::clone(receiver) as Home,
            kind,
            name,
            misuse: None,
        }
    }

    /// A name that the receiver's charset cannot write: whoever wants to subscribe it is told.
    pub(super) fn impossible(receiver: &Arc<Inner>, kind: SubscriptionKind, misuse: Error) -> Self {
        Self {
            misuse: Some(misuse),
            ..Self::new(receiver, kind, Blob::default())
        }
    }

    fn receiver(&self) -> &Inner {
        (*self.receiver).as_ref()
    }

    /// The channel or pattern.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name as text; bytes that are none are replaced.
    pub fn name_str(&self) -> Cow<'_, str> {
        self.receiver().charset.decode_lossy(&self.name)
    }

    /// Whether it is a channel, a pattern or a shard channel.
    pub fn kind(&self) -> SubscriptionKind {
        self.kind
    }

    /// Whether it is a pattern.
    pub fn is_pattern(&self) -> bool {
        self.kind == SubscriptionKind::Pattern
    }

    /// Whether it is subscribed.
    pub fn is_active(&self) -> bool {
        let state = self.receiver().lock();
        let seats = state.senders.get(&(self.kind, self.name.clone()));
        seats.is_some_and(|seats| seats.iter().any(Seat::is_open))
    }

    fn check(&self, kind: SubscriptionKind) -> Result<()> {
        if let Some(misuse) = &self.misuse {
            return Err(misuse.clone());
        }
        if self.kind == kind {
            return Ok(());
        }
        let (what, method) = match self.kind {
            SubscriptionKind::Channel => ("channel", "subscribe"),
            SubscriptionKind::Pattern => ("pattern", "psubscribe"),
            SubscriptionKind::Shard => ("shard channel", "ssubscribe"),
        };
        Err(Error::misuse(format!(
            "{} is a {what} of its receiver: give it to {method}, or to the method that ends that",
            self.name
        )))
    }

    /// Whether it is subscribed over this connection.
    fn is_on(&self, hubbed: &Arc<Hubbed>) -> bool {
        let state = self.receiver().lock();
        let seats = state.senders.get(&(self.kind, self.name.clone()));
        seats.is_some_and(|seats| seats.iter().any(|seat| Arc::ptr_eq(&seat.hubbed, hubbed)))
    }

    /// Takes its seats, those on one connection or all.
    fn take_seats(&self, state: &mut State, on: Option<&Arc<Hubbed>>) -> Vec<Seat> {
        let key = (self.kind, self.name.clone());
        let Some(seats) = state.senders.get_mut(&key) else {
            return Vec::new();
        };
        let taken = seats
            .extract_if(.., |seat| {
                on.is_none_or(|hubbed| Arc::ptr_eq(&seat.hubbed, hubbed))
            })
            .collect();
        if seats.is_empty() {
            state.senders.remove(&key);
        }
        taken
    }

    /// Ends its subscriptions, those of all clients, behind all that the servers have sent before.
    ///
    /// If it was the last of its receiver, this stops the receiver too.
    ///
    /// # Errors
    ///
    /// A runtime has ended.
    pub async fn unsubscribe(&self) -> Result<()> {
        unsubscribe(vec![self.clone()], None).await
    }
}

fn stopped() -> Error {
    Error::misuse("the receiver was stopped: make another one")
}

/// Subscribes all of these over one connection.
async fn subscribe(senders: Vec<Sender>, hubbed: Arc<Hubbed>) -> Result<()> {
    // In one order, so that two who do this do not wait for each other.
    let receivers: BTreeMap<usize, Home> = senders
        .iter()
        .map(|sender| {
            (
                ptr::from_ref(sender.receiver()).addr(),
                Arc::clone(&sender.receiver),
            )
        })
        .collect();
    let mut one_after_the_other = Vec::new();
    for receiver in receivers.values() {
        one_after_the_other.push((**receiver).as_ref().subscribing.lock().await);
    }
    let (mut new, mut known, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for sender in senders {
        if sender.receiver().lock().stopped {
            return Err(stopped());
        }
        let names = vec![sender.name.clone()];
        if sender.is_on(&hubbed) || new.iter().any(|(other, _)| *other == sender) {
            // It waits as any other that comes later; what it would receive, the receiver has already.
            let nowhere = Arc::new(Queue::new(SHARED_BOUNDS));
            let (seat, answer) = hubbed.seat(&nowhere, sender.kind, names);
            known.push(seat);
            answers.push(answer);
        } else {
            let (seat, answer) = hubbed.seat(&sender.receiver().queue, sender.kind, names);
            new.push((sender, seat));
            answers.push(answer);
        }
    }
    for answer in answers {
        answer.await?;
    }
    for (sender, seat) in new {
        let mut state = sender.receiver().lock();
        if state.stopped {
            drop(state);
            return Err(stopped());
        }
        let key = (sender.kind, sender.name.clone());
        state.senders.entry(key).or_default().push(seat);
    }
    Ok(())
}

/// Ends subscriptions of these, those over one connection or all.
pub(crate) async fn unsubscribe(senders: Vec<Sender>, on: Option<Arc<Hubbed>>) -> Result<()> {
    let (mut leaving, mut answers) = (Vec::new(), Vec::new());
    for sender in senders {
        let mut state = sender.receiver().lock();
        let mut seats = sender.take_seats(&mut state, on.as_ref());
        let is_last = !seats.is_empty() && state.senders.values().all(Vec::is_empty);
        state.stopped |= is_last;
        drop(state);
        let last_seat = seats.pop();
        answers.extend(seats.iter().map(|seat| seat.leave_behind(None)));
        if let Some(seat) = &last_seat {
            let queue = is_last.then(|| Arc::clone(&sender.receiver().queue));
            answers.push(seat.leave_behind(queue));
        }
        leaving.extend(seats);
        leaving.extend(last_seat);
    }
    for answer in answers {
        answer.await?;
    }
    Ok(())
}

impl PartialEq for Sender {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.receiver(), other.receiver())
            && self.kind == other.kind
            && self.name == other.name
    }
}

impl Eq for Sender {}

impl Hash for Sender {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.name.hash(state);
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name_str())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One sender or several: an array, a slice or a vector of them, given or lent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no sender of a `Receiver`",
    label = "neither a sender nor several of them",
    note = "to end a `Subscription`, drop it; a `PubSub` has an `unsubscribe` of its own"
)]
pub trait Senders {
    /// Each of them.
    fn into_senders(self) -> Vec<Sender>;
}

impl Senders for Sender {
    fn into_senders(self) -> Vec<Sender> {
        vec![self]
    }
}

impl Senders for &Sender {
    fn into_senders(self) -> Vec<Sender> {
        vec![self.clone()]
    }
}

impl Senders for Vec<Sender> {
    fn into_senders(self) -> Vec<Sender> {
        self
    }
}

impl Senders for &[Sender] {
    fn into_senders(self) -> Vec<Sender> {
        self.to_vec()
    }
}

impl Senders for &Vec<Sender> {
    fn into_senders(self) -> Vec<Sender> {
        self.clone()
    }
}

impl<const N: usize> Senders for &[Sender; N] {
    fn into_senders(self) -> Vec<Sender> {
        self.to_vec()
    }
}

impl<const N: usize> Senders for [Sender; N] {
    fn into_senders(self) -> Vec<Sender> {
        self.into()
    }
}

/// The senders, if all of them stand for names of this kind.
pub(crate) fn of_kind(senders: impl Senders, kind: SubscriptionKind) -> Result<Vec<Sender>> {
    let senders = senders.into_senders();
    senders.iter().try_for_each(|sender| sender.check(kind))?;
    Ok(senders)
}

/// The marker of senders. See [`SubscribeTo`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SendersOf;

impl<T: Senders> SubscribeTo<SendersOf> for T {
    type Request = Subscribing;
    #[cfg(feature = "blocking")]
    type Blocking = Result<()>;

    fn into_request(self, source: Source, kind: SubscriptionKind) -> Subscribing {
        let senders = of_kind(self, kind);
        Subscribing(Box::pin(async move {
            let senders = senders?;
            if senders.is_empty() {
                return Ok(());
            }
            let hubbed = source.hubbed(kind).await?;
            subscribe(senders, hubbed).await
        }))
    }

    #[cfg(feature = "blocking")]
    fn into_blocking(self, source: Source, kind: SubscriptionKind) -> Result<()> {
        crate::blocking::wait(self.into_request(source, kind))
    }
}

/// Senders that are being subscribed. Awaited, the server has confirmed each of them.
///
/// # Errors
///
/// A name that the server refuses is named by the error; none of the senders is subscribed then. A sender that stands
/// for a name of another kind, or whose receiver was stopped, is a [misuse](crate::ErrorKind::Misuse).
///
/// # Cancel safety
///
/// Dropped on the way, it leaves nothing behind.
#[must_use = "nothing happens before it is awaited"]
pub struct Subscribing(Pin<Box<dyn Future<Output = Result<()>> + Send>>);

impl Future for Subscribing {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Subscribing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribing").finish_non_exhaustive()
    }
}
