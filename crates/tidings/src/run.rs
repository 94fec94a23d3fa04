//! A command from its making to its reply.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tidings_proto::{Blob, Charset, Command, FromReply, Reply, ServerError};

use crate::commands::refused;
use crate::driver::body::{Answer, Body, Patience};
use crate::driver::mailbox::{Mailbox, Sending};
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Pool;
use crate::script::ScriptCall;
use crate::watch::Watched;

/// A command of a [`Client`](crate::Client) or a [`Watch`](crate::Watch) that runs when it is awaited.
///
/// # Cancel safety
///
/// Dropped before its first poll, nothing is sent. Dropped later, the command may run all the same; its reply goes
/// to nobody, and to nobody else. One that blocks (`BLPOP`) has a connection of its own, which is closed then: what
/// the server gave at that moment (an element that `BLPOP` took) is lost.
#[must_use = "a command runs when it is awaited"]
pub struct Run<'a, T> {
    state: State<'a>,
    /// What it runs on, if that is a [`Watch`](crate::Watch)'s.
    watching: Option<&'a Watched>,
    charset: Charset,
    /// What is to be sent next if the server does not know the script.
    script: Option<Box<ScriptCall>>,
    reply: PhantomData<fn() -> T>,
}

enum State<'a> {
    Sending(Sending<&'a Mailbox>),
    /// On a connection that is yet to be had.
    Elsewhere(Pin<Box<dyn Future<Output = Result<Answer>> + Send + 'a>>),
    Refused(Option<Error>),
}

impl<'a, T> Run<'a, T> {
    #[inline]
    fn new(state: State<'a>, watching: Option<&'a Watched>, charset: Charset) -> Self {
        Self {
            state,
            watching,
            charset,
            script: None,
            reply: PhantomData,
        }
    }

    /// Over the connection that is shared, or one of the pool's if it blocks.
    pub(crate) fn shared(
        mailbox: &'a Mailbox,
        pool: &Arc<Pool>,
        command: Command,
        charset: Charset,
    ) -> Self {
        if let Some(error) = refused(command.view()) {
            return Self::refused(error);
        }
        let patience = Patience::of(command.view());
        if patience == Patience::Usual {
            return Self::known(mailbox, command, charset);
        }
        let command = match command.in_charset(charset) {
            Ok(command) => command,
            Err(error) => return Self::refused(error.into()),
        };
        let body = body(command, patience);
        let state = State::Elsewhere(Box::pin(Arc::clone(pool).run(body)));
        Self::new(state, None, charset)
    }

    #[cold]
    pub(crate) fn refused(error: Error) -> Self {
        Self::new(State::Refused(Some(error)), None, Charset::UTF_8)
    }

    /// Over the connection that is shared, since it is known that the command may.
    #[inline]
    pub(crate) fn known(mailbox: &'a Mailbox, command: Command, charset: Charset) -> Self {
        let command = match command.in_charset(charset) {
            Ok(command) => command,
            Err(error) => return Self::refused(error.into()),
        };
        let body = body(command, Patience::Usual);
        Self::new(State::Sending(Sending::new(mailbox, body)), None, charset)
    }

    /// Over the connection of a watch; the command is in its charset already.
    pub(crate) fn watching(watched: &'a Watched, command: Command, charset: Charset) -> Self {
        let view = command.view();
        if let Some(error) = refused(view) {
            return Self::refused(error);
        }
        let patience = Patience::of(view);
        Self::over(watched, body(command, patience), charset)
    }

    fn over(watched: &'a Watched, body: Body, charset: Charset) -> Self {
        let sending = watched.own().send(watched.body(body));
        Self::new(State::Sending(sending), Some(watched), charset)
    }

    /// The same, and the script as a whole if the command says that it is unknown.
    pub(crate) fn with_script(mut self, call: ScriptCall) -> Self {
        self.script = Some(Box::new(call));
        self
    }

    /// Over the connection of a watch, since it is known that the command may.
    pub(crate) fn known_watching(watched: &'a Watched, command: Command, charset: Charset) -> Self {
        Self::over(watched, body(command, Patience::Usual), charset)
    }
}

#[inline]
fn body(command: Command, patience: Patience) -> Body {
    Body::command(command.into_bytes(), patience)
}

impl<T: FromReply> Future for Run<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        let answer = match &mut this.state {
            State::Sending(sending) => loop {
                let mut answer = ready!(Pin::new(&mut *sending).poll(cx));
                if let Some(watched) = this.watching {
                    answer = watched.answer(answer);
                }
                match this.script.take() {
                    Some(call) if is_unknown_script(&answer) => {
                        match call.whole().in_charset(this.charset) {
                            Ok(whole) => {
                                let body = body(whole, Patience::Usual);
                                sending.send_next(match this.watching {
                                    Some(watched) => watched.body(body),
                                    None => body,
                                });
                            }
                            Err(error) => break Err(error.into()),
                        }
                    }
                    _ => break answer,
                }
            },
            State::Elsewhere(running) => {
                let answer = ready!(running.as_mut().poll(cx));
                this.state = State::Refused(None);
                answer
            }
            State::Refused(error) => Err(error
                .take()
                .unwrap_or_else(|| Error::misuse("a command was awaited again after its end"))),
        };
        let charset = this.charset;
        Poll::Ready(answer.and_then(|answer| decode(answer, charset)))
    }
}

impl<T> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if let (Some(watched), State::Sending(sending)) = (self.watching, &self.state)
            && !sending.is_at_rest()
        {
            watched.own().leave_in_doubt();
        }
    }
}

impl<T> fmt::Debug for Run<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

/// With its connection, a watch has lost what it saw of its keys.
pub(crate) fn lost_while_watching(error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Connection | ErrorKind::Protocol) {
        return error;
    }
    let may_have_run = error.may_have_run();
    Error::watch("the connection was lost while keys were watched")
        .with_may_have_run(may_have_run)
        .with_source(error)
}

/// What a command's answer is to its caller.
pub(crate) fn decode<T: FromReply>(answer: Answer, charset: Charset) -> Result<T> {
    match answer {
        Answer::Reply(frame) => decode_frame(&frame, charset),
        // Of a command that is large or takes its time: the last part has the reply.
        Answer::Replies(parts) if parts.len() == 1 => {
            let reply = Reply::parse_shared(&parts[0])?;
            Ok(T::from_reply(reply.in_charset(charset))?)
        }
        Answer::Replies(_) | Answer::Exec(_) | Answer::Cut(_) => Err(Error::new(
            ErrorKind::Protocol,
            "a command was answered as a pipeline is",
        )),
    }
}

/// Looked for before the reply is decoded, since a `T` that takes errors for values would hide it.
pub(crate) fn is_unknown_script(answer: &Result<Answer>) -> bool {
    let frame = match answer {
        Ok(Answer::Reply(frame)) => frame,
        Ok(Answer::Replies(parts)) if parts.len() == 1 => &*parts[0],
        _ => return false,
    };
    match Reply::parse(frame) {
        Ok(Reply::Error(text)) => ServerError::new(text).code() == "NOSCRIPT",
        _ => false,
    }
}

fn decode_frame<T: FromReply>(frame: &Blob, charset: Charset) -> Result<T> {
    let reply = match frame.shared() {
        Some(bytes) => Reply::parse_shared(bytes)?,
        None => Reply::parse(frame)?,
    };
    Ok(T::from_reply(reply.in_charset(charset))?)
}
