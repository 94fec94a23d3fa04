//! TCP: all addresses of a name, staggered, and the socket's settings.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Deadline, describe, refused};
use crate::config::{Address, Config};
use crate::error::{Error, Result};

/// How long one address is waited for before the next is tried beside it: the Connection Attempt Delay of
/// RFC 8305, section 8. One address that swallows packets then costs a moment, not the whole deadline.
const STAGGER: Duration = Duration::from_millis(250);

/// Into how many probes the time for an answer is cut. One lost packet is no lost peer.
const KEEPALIVE_PROBES: u32 = 5;

/// What Linux takes for `TCP_KEEPIDLE` and `TCP_KEEPINTVL`, in seconds; below one second it refuses.
const KEEPALIVE_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32_767));

/// `TCP_USER_TIMEOUT` is a positive `int` of milliseconds.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LONGEST_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

pub(super) async fn connect(
    address: &Address,
    host: &str,
    port: u16,
    config: &Config,
    deadline: Deadline,
) -> Result<TcpStream> {
    let addresses: Vec<SocketAddr> = deadline
        .bound(
            address,
            "its name was not resolved in time",
            lookup_host((host, port)),
        )
        .await?
        .map_err(|error| unresolved(host).with_source(error))?
        .collect();
    let stream = deadline
        .bound(
            address,
            "no answer; is the address right, or a firewall between?",
            first_to_connect(&addresses, TcpStream::connect),
        )
        .await?
        .map_err(|failures| none_connected(address, failures))?;
    tune(&stream, config);
    Ok(stream)
}

/// Starts with the first address; another one joins in whenever one fails or [`STAGGER`] has passed. The first
/// connection made wins, and the others are dropped.
async fn first_to_connect<T, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.iter();
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failures = Vec::new();
    loop {
        if let Some(&address) = waiting.next() {
            running.push((address, Box::pin(connect(address))));
        } else if running.is_empty() {
            return Err(failures);
        }
        let next_done = poll_fn(|cx| {
            for (at, (_, attempt)) in running.iter_mut().enumerate() {
                if let Poll::Ready(outcome) = attempt.as_mut().poll(cx) {
                    return Poll::Ready((at, outcome));
                }
            }
            Poll::Pending
        });
        let done = if waiting.len() == 0 {
            Some(next_done.await)
        } else {
            timeout(STAGGER, next_done).await.ok()
        };
        match done {
            Some((_, Ok(connection))) => return Ok(connection),
            Some((at, Err(error))) => {
                let (address, _) = running.remove(at);
                failures.push((address, error));
            }
            None => {}
        }
    }
}

fn unresolved(host: &str) -> Error {
    Error::connection(format!(
        "the name `{host}` could not be resolved to an address: is it spelled right, and does DNS answer?"
    ))
}

/// The error of the address that failed first, which the resolver prefers, stands for all.
fn none_connected(address: &Address, failures: Vec<(SocketAddr, io::Error)>) -> Error {
    let others = failures.len().saturating_sub(1);
    let Some((first, error)) = failures.into_iter().next() else {
        return Error::connection(format!("the name of {address} has no address"));
    };
    if others == 0 {
        return refused(&first.to_string(), error);
    }
    Error::connection(format!(
        "none of the {} addresses of {address} connects; the first: {}",
        others + 1,
        describe(&first.to_string(), &error)
    ))
    .with_source(error)
}

/// A socket that refuses a setting still carries data, and PINGs find a dead peer without its help.
fn tune(stream: &TcpStream, config: &Config) {
    let (interval, answer) = config.ping_times();
    let socket = SockRef::from(stream);
    let settle = |setting: &'static str, outcome: io::Result<()>| {
        if let Err(error) = outcome {
            tracing::debug!(setting, %error, "the socket does not take a setting");
        }
    };
    // Commands are written in batches already; waiting to fill a packet would only delay the last one.
    settle("TCP_NODELAY", stream.set_nodelay(true));
    settle(
        "SO_KEEPALIVE",
        socket.set_tcp_keepalive(&keepalive(interval, answer)),
    );
    // Without it, Linux goes on sending what was not acknowledged for about a quarter of an hour.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    settle(
        "TCP_USER_TIMEOUT",
        socket.set_tcp_user_timeout(Some((interval + answer).min(LONGEST_USER_TIMEOUT))),
    );
}

/// Probes an idle connection as the PINGs do, for when the runtime is too busy to send them.
fn keepalive(interval: Duration, answer: Duration) -> TcpKeepalive {
    let (shortest, longest) = KEEPALIVE_RANGE;
    let keepalive = TcpKeepalive::new().with_time(interval.clamp(shortest, longest));
    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "windows",
    ))]
    let keepalive = keepalive
        .with_interval((answer / KEEPALIVE_PROBES).clamp(shortest, longest))
        .with_retries(KEEPALIVE_PROBES);
    keepalive
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::TcpListener;

    use tokio::time::Instant;

    use super::*;

    fn addresses(count: u8) -> Vec<SocketAddr> {
        (1..=count)
            .map(|last| SocketAddr::from(([192, 0, 2, last], 6379)))
            .collect()
    }

    type Attempt = Pin<Box<dyn Future<Output = io::Result<SocketAddr>>>>;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_packets_costs_a_moment() {
        let all = addresses(3);
        let started = Instant::now();
        let last = all[2];
        let connect = |address| -> Attempt {
            if address == last {
                Box::pin(ready(Ok(address)))
            } else {
                Box::pin(pending())
            }
        };
        assert_eq!(first_to_connect(&all, connect).await.unwrap(), last);
        assert_eq!(started.elapsed(), 2 * STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_is_followed_by_the_next_at_once() {
        let all = addresses(2);
        let started = Instant::now();
        let first = all[0];
        let connect = |address| {
            ready(if address == first {
                Err(io::ErrorKind::ConnectionRefused.into())
            } else {
                Ok(address)
            })
        };
        assert_eq!(first_to_connect(&all, connect).await.unwrap(), all[1]);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_address_may_still_win() {
        let all = addresses(2);
        let first = all[0];
        let connect = |address| -> Attempt {
            if address != first {
                return Box::pin(pending());
            }
            Box::pin(async move {
                tokio::time::sleep(2 * STAGGER).await;
                Ok(address)
            })
        };
        assert_eq!(first_to_connect(&all, connect).await.unwrap(), first);
    }

    #[tokio::test]
    async fn when_every_address_fails_the_error_counts_them_and_describes_the_first() {
        let all = addresses(2);
        let connect = |_| ready(Err::<(), _>(io::ErrorKind::ConnectionRefused.into()));
        let failures = first_to_connect(&all, connect).await.unwrap_err();
        let text = none_connected(&Address::tcp("cache.example", 6379), failures).to_string();
        assert!(
            text.contains("none of the 2 addresses of cache.example:6379"),
            "{text}"
        );
        assert!(
            text.contains("connection refused at 192.0.2.1:6379"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_named() {
        // Longer than a label may be (RFC 1035): no resolver is even asked.
        let host = format!("{}.invalid", "x".repeat(64));
        let config = Config::new(&host, 6379);
        let deadline = Deadline::after(Duration::from_secs(60));
        let error = connect(config.server_address(), &host, 6379, &config, deadline)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("`{host}` could not be resolved")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn lv_01_the_socket_gives_up_a_silent_peer_when_the_pings_would() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Config::new("127.0.0.1", port);
        let deadline = Deadline::after(Duration::from_secs(60));
        let stream = connect(
            config.server_address(),
            "127.0.0.1",
            port,
            &config,
            deadline,
        )
        .await
        .unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(5));
            assert_eq!(
                socket.tcp_keepalive_interval().unwrap(),
                Duration::from_secs(1)
            );
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
            assert_eq!(
                socket.tcp_user_timeout().unwrap(),
                Some(Duration::from_secs(10))
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_shortest_and_the_longest_times_are_taken_by_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        for time in [Duration::from_millis(1), Duration::MAX] {
            let config = Config::new("127.0.0.1", port)
                .ping_interval(time)
                .ping_timeout(time);
            tune(&stream, &config);
            let socket = SockRef::from(&stream);
            let (interval, answer) = config.ping_times();
            let expected = interval.clamp(KEEPALIVE_RANGE.0, KEEPALIVE_RANGE.1);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), expected);
            let expected = (interval + answer).min(LONGEST_USER_TIMEOUT);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(expected));
        }
    }
}
