//! Subscribing and unsubscribing: what a [`PubSub`] asks of its server.

use std::future::Future;

use tidings_proto::pubsub::{SubscriptionKind, Verb};
use tidings_proto::{Arg, Blob, Charset, ToArg, ToArgs};

use super::handler::Handler;
use super::{Asker, Confirming, FromPayload, HandlerOutcome, Kinds, Message, PubSub};
use crate::driver::subscriber::Shared;
use crate::driver::subscriber::single::Single;
use crate::error::{Error, Result};

impl<P: FromPayload, K: Kinds> PubSub<P, K> {
    // ---- subscribing ----

    /// Subscribes to channels: one name or many, text, bytes or numbers (`SUBSCRIBE`).
    ///
    /// Resolved means confirmed by the server; without a connection it waits for the next one, as long as it takes:
    /// `tokio::time::timeout` bounds that. Each name yields one [`Confirmation`](crate::Confirmation), in order. A name
    /// that is subscribed already is confirmed again and keeps its handler.
    ///
    /// # Errors
    ///
    /// A name that the server refuses is named by the error; the others are subscribed. No name at all is a
    /// [misuse](crate::ErrorKind::Misuse), before anything is sent.
    ///
    /// # Cancel safety
    ///
    /// The request is made at the first poll. Dropped after that, it stands all the same.
    pub async fn subscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        self.request(Verb::Subscribe, K::CHANNEL, names(channels))
            .await
    }

    /// Subscribes to a channel whose messages go to `handler`.
    ///
    /// The handler runs when the object is read, takes the message, and may subscribe, unsubscribe and publish.
    /// Its error, or its panic, comes out of the read that ran it; the next read goes on. It stays until the
    /// channel is unsubscribed or gets another handler, over reconnects too.
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;
    /// pubsub.subscribe_with("my-channel", |message| println!("{}", message.text())).await?;
    /// while pubsub.next().await.transpose()?.is_some() {}
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_with<R: HandlerOutcome>(
        &mut self,
        channel: impl ToArg,
        handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Result<()> {
        self.request_with(K::CHANNEL, channel, Handler::new(handler))
            .await
    }

    /// Subscribes to a channel whose messages go to the asynchronous `handler`, which is awaited within the read
    /// that ran it; as [`subscribe_with`](Self::subscribe_with).
    ///
    /// ```no_run
    /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
    /// use tidings::Commands;
    ///
    /// let mut pubsub = client.pubsub().ignore_subscribe_messages(true).await?;
    /// let writer = client.clone();
    /// pubsub
    ///     .subscribe_with_async("my-channel", move |message| {
    ///         let writer = writer.clone();
    ///         async move {
    ///             writer.set("last", message.payload()).await?;
    ///             Ok::<(), tidings::Error>(())
    ///         }
    ///     })
    ///     .await?;
    /// while pubsub.next().await.transpose()?.is_some() {}
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    ///
    /// A read that is dropped while the handler is at work does not end the handler: the next read goes on with
    /// it.
    pub async fn subscribe_with_async<F>(
        &mut self,
        channel: impl ToArg,
        handler: impl FnMut(Message<P>) -> F + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output: HandlerOutcome> + Send + 'static,
    {
        self.request_with(K::CHANNEL, channel, Handler::new_async(handler))
            .await
    }

    // ---- unsubscribing ----

    /// Ends the subscriptions to channels (`UNSUBSCRIBE`).
    ///
    /// Each name yields one [`Confirmation`](crate::Confirmation), also one that was not subscribed. Messages that the server sent
    /// before it processed this come before the confirmation, none comes after it.
    ///
    /// # Errors
    ///
    /// No name at all is a [misuse](crate::ErrorKind::Misuse).
    ///
    /// # Cancel safety
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn unsubscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        self.request(Verb::Unsubscribe, K::CHANNEL, names(channels))
            .await
    }

    /// Ends the subscriptions to all channels. Without any it does nothing.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub async fn unsubscribe_all(&mut self) -> Result<()> {
        self.end_all(K::CHANNEL).await
    }

    // ---- inside ----

    async fn request(&mut self, verb: Verb, kind: SubscriptionKind, names: Vec<Arg>) -> Result<()> {
        let names = encoded(&names, self.shared.charset())?;
        if verb == Verb::Subscribe || self.handlers.ignore_ends() {
            return request_encoded(&self.shared, verb, kind, names, Asker::Reader).await;
        }
        self.handlers.ending(kind, &names);
        let outcome = request_encoded(&self.shared, verb, kind, names.clone(), Asker::Reader).await;
        if outcome.is_err() {
            self.handlers.not_ending(kind, &names);
        }
        outcome
    }

    async fn request_with(
        &mut self,
        kind: SubscriptionKind,
        name: impl ToArg,
        handler: Handler<P>,
    ) -> Result<()> {
        let name = one_name(&name, self.shared.charset())?;
        let answer =
            self.shared
                .request(Verb::Subscribe, kind, vec![name.clone()], Asker::Reader)?;
        let known = self.handlers.set(kind, name.clone(), handler);
        let outcome = Confirming::new(Ok(answer)).await;
        if outcome.is_err() {
            self.handlers.put_back(kind, name, known);
        }
        outcome
    }

    async fn end_all(&mut self, kind: SubscriptionKind) -> Result<()> {
        self.check_open()?;
        if !self.handlers.ignore_ends() {
            let names = self
                .shared
                .with_names(|subscriptions| subscriptions.wanted(kind));
            self.handlers.ending(kind, &names);
        }
        match self.shared.request_end(kind)? {
            Some(answer) => Confirming::new(Ok(answer)).await,
            None => Ok(()),
        }
    }
}

impl<P: FromPayload> PubSub<P> {
    /// Subscribes to patterns (`PSUBSCRIBE`); otherwise as [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe<S>(&mut self, patterns: impl ToArgs<S>) -> Result<()> {
        self.request(Verb::Subscribe, SubscriptionKind::Pattern, names(patterns))
            .await
    }

    /// Subscribes to shard channels on this server (`SSUBSCRIBE`); otherwise as [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        self.request(Verb::Subscribe, SubscriptionKind::Shard, names(channels))
            .await
    }

    /// Subscribes to a pattern whose messages go to `handler`; as [`subscribe_with`](Self::subscribe_with).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe_with<R: HandlerOutcome>(
        &mut self,
        pattern: impl ToArg,
        handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Result<()> {
        self.request_with(SubscriptionKind::Pattern, pattern, Handler::new(handler))
            .await
    }

    /// Subscribes to a shard channel whose messages go to `handler`; as
    /// [`subscribe_with`](Self::subscribe_with).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe_with<R: HandlerOutcome>(
        &mut self,
        channel: impl ToArg,
        handler: impl FnMut(Message<P>) -> R + Send + 'static,
    ) -> Result<()> {
        self.request_with(SubscriptionKind::Shard, channel, Handler::new(handler))
            .await
    }

    /// Subscribes to a pattern whose messages go to the asynchronous `handler`; as
    /// [`subscribe_with_async`](Self::subscribe_with_async).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe_with_async<F>(
        &mut self,
        pattern: impl ToArg,
        handler: impl FnMut(Message<P>) -> F + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output: HandlerOutcome> + Send + 'static,
    {
        self.request_with(
            SubscriptionKind::Pattern,
            pattern,
            Handler::new_async(handler),
        )
        .await
    }

    /// Subscribes to a shard channel whose messages go to the asynchronous `handler`; as
    /// [`subscribe_with_async`](Self::subscribe_with_async).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe_with_async<F>(
        &mut self,
        channel: impl ToArg,
        handler: impl FnMut(Message<P>) -> F + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output: HandlerOutcome> + Send + 'static,
    {
        self.request_with(
            SubscriptionKind::Shard,
            channel,
            Handler::new_async(handler),
        )
        .await
    }

    /// Ends the subscriptions to patterns (`PUNSUBSCRIBE`); as [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn punsubscribe<S>(&mut self, patterns: impl ToArgs<S>) -> Result<()> {
        self.request(
            Verb::Unsubscribe,
            SubscriptionKind::Pattern,
            names(patterns),
        )
        .await
    }

    /// Ends the subscriptions to shard channels (`SUNSUBSCRIBE`); as [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn sunsubscribe<S>(&mut self, channels: impl ToArgs<S>) -> Result<()> {
        self.request(Verb::Unsubscribe, SubscriptionKind::Shard, names(channels))
            .await
    }

    /// Ends the subscriptions to all patterns. Without any it does nothing.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub async fn punsubscribe_all(&mut self) -> Result<()> {
        self.end_all(SubscriptionKind::Pattern).await
    }

    /// Ends the subscriptions to all shard channels. Without any it does nothing.
    ///
    /// # Errors
    ///
    /// The object was closed.
    pub async fn sunsubscribe_all(&mut self) -> Result<()> {
        self.end_all(SubscriptionKind::Shard).await
    }
}

/// The names among the arguments of a call.
pub(crate) fn names<S>(names: impl ToArgs<S>) -> Vec<Arg> {
    names.collect_args()
}

pub(crate) fn one_name(name: &impl ToArg, charset: Charset) -> Result<Blob> {
    Ok(encoded(&names(name), charset)?.pop().unwrap_or_default())
}

/// The names as they are sent.
pub(crate) fn encoded(names: &[Arg], charset: Charset) -> Result<Vec<Blob>> {
    let names = names.iter().map(|name| name.encode(charset));
    Ok(names.collect::<Result<_, _>>()?)
}

/// Asks for names at once; the answer is to be awaited.
pub(super) fn request(
    shared: &Shared<Single>,
    verb: Verb,
    kind: SubscriptionKind,
    names: &[Arg],
    asker: Asker,
) -> Confirming {
    match encoded(names, shared.charset()) {
        Ok(names) => request_encoded(shared, verb, kind, names, asker),
        Err(error) => Confirming::new(Err(error)),
    }
}

fn request_encoded(
    shared: &Shared<Single>,
    verb: Verb,
    kind: SubscriptionKind,
    names: Vec<Blob>,
    asker: Asker,
) -> Confirming {
    if names.is_empty() {
        let text = format!("{} needs at least one name", verb.name(kind));
        return Confirming::new(Err(Error::misuse(text)));
    }
    Confirming::new(shared.request(verb, kind, names, asker))
}
