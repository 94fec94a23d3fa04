//! Making connections, and making them again: at once, then with back-off, for ever unless told otherwise.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_proto::cluster::Missed;
use tidings_proto::pubsub::GapCause;
use tidings_proto::{
    Backoff, ConnectionOptions, Decoder, Handshake, HandshakeError, HandshakeOptions, Protocol,
    Reply, ServerInfo,
};
use tokio::time;

use super::cluster::BusLosses;
use super::place::{Departure, Place};
use super::wire::{Cut, Wire};
use crate::config::{Config, ProtocolVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::net;

/// The first byte of a TLS alert, which is what a TLS port has to say to anything else.
const TLS_ALERT: u8 = 0x15;

/// A socket whose handshake is done, and what the server said of itself.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) wire: Wire,
    pub(crate) info: ServerInfo,
    /// With the address that it was made to.
    pub(crate) config: Arc<Config>,
}

/// Why a connection is not served any longer.
pub(crate) enum End {
    /// Nobody wants it any more.
    Closed,
    /// It was lost.
    Lost(Error),
    /// It cannot go on, and another connection would not help.
    Over(Error),
}

/// What a supervised task does with its connections.
pub(crate) trait Link {
    /// A connection was made. `moved` says more of what was missed meanwhile than that a connection was lost.
    fn connected(&mut self, connected: Connected, moved: Option<GapCause>);

    /// Serves the connection until its end, and takes note of that.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<End>;

    /// Gives up the connection.
    fn leave(&mut self, departure: Departure) -> End;

    /// Something may be missing of what its peer was to bring, although the connection is well.
    fn missed(&mut self, _missed: Missed) {}

    /// What its peer has from others surely was whole then, but for what was [missed](Self::missed); `None` if that is not
    /// known, or it has nothing from others.
    fn heard(&mut self, _as_of: Option<Instant>) {}

    /// Ready when nobody wants a connection any more; called while there is none.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// An attempt to connect failed.
    fn attempt_failed(&mut self, error: &Error);

    /// There will be no further connection; `error` says why unless it was closed.
    fn ended(&mut self, error: Option<Error>);
}

/// Keeps `link` connected, first with the connection that is there, if there is one, until it is closed or the
/// attempts are used up.
pub(crate) async fn supervise<L: Link>(
    place: Place,
    first: impl Into<Option<Connected>>,
    mut link: L,
) {
    let (shortest, longest) = place.config().backoff_times();
    let mut backoff = Backoff::new(shortest, longest);
    let mut short_lived = Backoff::new(shortest, longest);
    let mut connected = first.into();
    let mut before: Option<Arc<Config>> = None;
    let mut pause = Duration::ZERO;
    loop {
        let next = match connected.take() {
            Some(connected) => connected,
            None => match connect_again(&place, &mut link, &mut backoff, pause).await {
                Ok(connected) => connected,
                Err(error) => return link.ended(error),
            },
        };
        let made = Instant::now();
        if before.is_some() {
            let peer = next.wire.peer();
            tracing::info!(peer, attempts = backoff.attempts(), "connected again");
        }
        let connected_to = Arc::clone(&next.config);
        let moved = before.and_then(|before| place.cause_of_change(&before, &connected_to));
        link.connected(next, moved);
        match serve(&place, &connected_to, &mut link).await {
            End::Closed => return link.ended(None),
            End::Over(error) => return link.ended(Some(error)),
            End::Lost(error) => {
                tracing::info!(error = %format_args!("{error:#}"), "connection lost");
            }
        }
        before = Some(connected_to);
        // The first attempt is made at once, unless the peer takes connections only to end them.
        pause = short_lived.next_delay();
        if made.elapsed() >= pause {
            short_lived.reset();
            pause = short_lived.next_delay();
        }
        backoff.reset();
    }
}

/// Tries until there is a connection. `Err` is the end of `link`: why, unless it was closed.
async fn connect_again<L: Link>(
    place: &Place,
    link: &mut L,
    backoff: &mut Backoff,
    least_pause: Duration,
) -> Result<Connected, Option<Error>> {
    loop {
        let attempt = async {
            place.pause(backoff.next_delay().max(least_pause)).await;
            place.connect().await
        };
        match unless_closed(link, attempt).await.ok_or(None)? {
            Ok(connected) => return Ok(connected),
            Err(error) => {
                tracing::debug!(error = %format_args!("{error:#}"), "attempt to connect failed");
                link.attempt_failed(&error);
                let most = place.config().attempts();
                if most.is_some_and(|most| backoff.attempts() >= most) {
                    let text = format!("given up after {} attempts", backoff.attempts());
                    return Err(Some(Error::connection(text).with_source(error)));
                }
            }
        }
    }
}

/// Serves one connection until it ends, or has to be left.
pub(crate) async fn serve<L: Link>(place: &Place, connected_to: &Config, link: &mut L) -> End {
    let mut departure = place.departure(connected_to);
    let mut losses = place.bus_losses(connected_to);
    poll_fn(|cx| {
        if let Some(departure) = &mut departure
            && let Poll::Ready(departure) = departure.as_mut().poll(cx)
        {
            return Poll::Ready(link.leave(departure));
        }
        match &mut losses {
            Some(losses) => poll_run_hearing(losses, link, cx),
            None => link.poll_run(cx),
        }
    })
    .await
}

/// Serves a connection whose peer may miss something of what it is to bring.
pub(crate) fn poll_run_hearing<L: Link>(
    losses: &mut BusLosses,
    link: &mut L,
    cx: &mut Context<'_>,
) -> Poll<End> {
    while let Poll::Ready(missed) = losses.poll_next(cx) {
        if let Some(missed) = missed {
            link.missed(missed);
        }
        link.heard(losses.heard_as_of());
    }
    link.poll_run(cx)
}

/// The outcome of `work`, or `None` if the link is closed before.
async fn unless_closed<L: Link, T>(link: &mut L, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if link.poll_closed(cx).is_ready() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Opens a socket and shakes hands, within the time that the configuration gives for both.
pub(crate) async fn connect(config: &Arc<Config>) -> Result<Connected> {
    let limit = config.time_to_connect();
    let deadline = time::Instant::now() + limit;
    // It has the same time to itself, and says what took too long.
    let stream = net::connect(config).await?;
    match time::timeout_at(deadline, shake_hands(config, Wire::new(stream))).await {
        Ok(outcome) => outcome,
        Err(_) => Err(too_slow(config, limit)),
    }
}

async fn shake_hands(config: &Arc<Config>, mut wire: Wire) -> Result<Connected> {
    let mut handshake = Handshake::new(handshake_options(config));
    let mut decoder = Decoder::new(config.reply_limits());
    handshake.begin(wire.output());
    let info = loop {
        let frame = next_frame(&mut wire, &mut decoder).await;
        let frame = frame.map_err(|cut| broken_off(config, &wire, cut))?;
        let reply = Reply::parse(&frame).map_err(Error::from)?;
        match handshake.handle_reply(reply, wire.output()) {
            Ok(Some(info)) => break info,
            Ok(None) => {}
            Err(error) => return Err(refused(config, error)),
        }
    };
    Ok(Connected {
        wire,
        info,
        config: Arc::clone(config),
    })
}

/// Sends what is to be sent, and reads the next frame.
async fn next_frame(wire: &mut Wire, decoder: &mut Decoder) -> Result<Bytes, Cut> {
    poll_fn(|cx| {
        // An error of the write shows as the end of the stream, behind what the peer still had to say.
        let _ = wire.poll_flush(cx);
        wire.poll_frame(decoder, cx)
    })
    .await
}

/// Asks the server something before anybody else uses the connection. It has as long as connecting may take.
pub(crate) async fn ask(connected: &mut Connected, command: &[u8]) -> Result<Bytes> {
    let Connected { wire, config, .. } = connected;
    let limit = config.time_to_connect();
    let mut decoder = Decoder::new(config.reply_limits());
    wire.output().extend_from_slice(command);
    match time::timeout(limit, next_frame(wire, &mut decoder)).await {
        Ok(frame) => frame.map_err(|cut| broken_off(config, wire, cut)),
        Err(_) => Err(too_slow(config, limit)),
    }
}

fn too_slow(config: &Config, limit: Duration) -> Error {
    Error::timeout(format!(
        "{} did not complete the handshake within {limit:?}",
        config.server_address()
    ))
}

fn broken_off(config: &Config, wire: &Wire, cut: Cut) -> Error {
    let (how, error) = match cut {
        Cut::Protocol(_) if wire.input().first() == Some(&TLS_ALERT) => return speaks_tls(config),
        Cut::Protocol(error) => return error.into(),
        Cut::Ended(None) => ("closed the connection", None),
        Cut::Ended(error) => ("broke off", error),
    };
    let hint = net::hint_at_tls(config, error.as_ref());
    let text = format!(
        "{} {how} during the handshake{hint}",
        config.server_address()
    );
    match error {
        Some(error) => Error::connection(text).with_source(error),
        None => Error::connection(text),
    }
}

fn speaks_tls(config: &Config) -> Error {
    Error::connection(format!(
        "{} speaks TLS on this port: write rediss:// for redis://, or its port without TLS",
        config.server_address()
    ))
}

fn handshake_options(config: &Config) -> HandshakeOptions {
    let credentials = config.credentials();
    HandshakeOptions {
        protocol: match config.protocol_version() {
            ProtocolVersion::Auto => None,
            ProtocolVersion::Resp2 => Some(Protocol::Resp2),
            ProtocolVersion::Resp3 => Some(Protocol::Resp3),
        },
        username: credentials.and_then(|(user, _)| user.map(str::to_owned)),
        password: credentials.map(|(_, password)| password.expose().clone()),
        client_name: config.name().map(str::to_owned),
        database: config.database_number(),
        library: Some(("tidings", env!("CARGO_PKG_VERSION"))),
        read_only: config.reads_from_replicas(),
    }
}

fn refused(config: &Config, error: HandshakeError) -> Error {
    let kind = match &error {
        HandshakeError::Authentication(_) => ErrorKind::Authentication,
        HandshakeError::NoResp3 | HandshakeError::Database(_) | HandshakeError::ClientName(_) => {
            ErrorKind::Config
        }
        HandshakeError::Protocol(_) => ErrorKind::Protocol,
        _ => ErrorKind::Connection,
    };
    let text = format!("{}: {error}", config.server_address());
    match error {
        HandshakeError::Authentication(server)
        | HandshakeError::Database(server)
        | HandshakeError::ClientName(server)
        | HandshakeError::Refused(server) => Error::new(kind, text).with_server(server),
        HandshakeError::Protocol(error) => Error::new(kind, text).with_source(error),
        _ => Error::new(kind, text),
    }
}

/// The state machine of a connection that was just made.
pub(crate) fn options(config: &Config, info: &ServerInfo, pubsub: bool) -> ConnectionOptions {
    let (ping_interval, ping_timeout) = config.ping_times();
    ConnectionOptions {
        protocol: info.protocol,
        pubsub,
        limits: config.reply_limits(),
        ping_interval,
        ping_timeout,
    }
}

/// Why a connection ended, from what the socket said.
pub(crate) fn lost(config: &Config, error: Option<std::io::Error>) -> Error {
    let address = config.server_address();
    match error {
        None => Error::connection(format!("{address} closed the connection")),
        Some(error) => {
            Error::connection(format!("the connection to {address} was lost")).with_source(error)
        }
    }
}

/// Why a connection ended whose peer was silent.
pub(crate) fn silent(config: &Config, last_heard: Instant) -> Error {
    Error::connection(format!(
        "nothing was heard of {} for {:.1?}, and no answer to a PING came",
        config.server_address(),
        last_heard.elapsed()
    ))
}
