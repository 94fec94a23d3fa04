//! A TCP proxy that does to a connection what networks do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::Server;
use crate::listener::Acceptor;
use crate::port::{Port, local};
use crate::sync::lock;
use crate::wait::DEADLINE;

/// Stands between a client and a server and cuts, delays, halves and goes silent on demand.
///
/// What is set holds for all connections, those that are there and those to come, until it is set
/// otherwise or [`heal`](Self::heal)ed.
///
/// ```
/// use tidings_testkit::{Direction, Proxy, Server};
///
/// let server = Server::start();
/// let proxy = Proxy::to(&server);
/// let url = server.url_via(&proxy); // for the client under test
/// proxy.silence(Direction::Both);   // half-open: nothing comes, nobody closes
/// proxy.resume();
/// proxy.cut();                      // every connection ends
/// # drop(url);
/// ```
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    acceptor: Mutex<Option<Acceptor>>,
    shared: Arc<Shared>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there are no more")]
pub enum Direction {
    /// Either way.
    Both,
    /// From the server to the client.
    ToClient,
    /// From the client to the server.
    ToServer,
}

impl Proxy {
    /// A proxy before an address, such as [`Server::address`].
    ///
    /// # Panics
    ///
    /// If the address means nothing, or there is no free port.
    #[track_caller]
    #[must_use]
    pub fn start(target: impl ToSocketAddrs) -> Self {
        let port = Port::free().expect("a free port");
        let shared = Arc::new(Shared {
            state: Mutex::new(State::towards(resolved(target))),
            changed: Condvar::new(),
        });
        let proxy = Self {
            port,
            acceptor: Mutex::new(None),
            shared,
        };
        proxy.refuse(false);
        proxy
    }

    /// A proxy before a server; before its TLS port if it has one, as [`Server::url`] goes there.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    #[track_caller]
    #[must_use]
    pub fn to(server: &Server) -> Self {
        Self::start(server.url_address())
    }

    /// The port for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// `127.0.0.1:port` for clients.
    #[must_use]
    pub fn address(&self) -> String {
        local(self.port()).to_string()
    }

    /// `redis://127.0.0.1:port`; with a password or TLS, see [`Server::url_via`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Connections to come go to another server; those that are there stay.
    ///
    /// # Panics
    ///
    /// If the address means nothing.
    #[track_caller]
    pub fn set_target(&self, target: impl ToSocketAddrs) {
        let target = resolved(target);
        self.shared.change(|state| state.target = target);
    }
}

/// Ends.
impl Proxy {
    /// Closes all connections now, on both sides. New ones are welcome.
    pub fn cut(&self) {
        self.shared.change(State::cut_all);
    }

    /// Closes all connections with a reset (RST): reads fail instead of ending.
    pub fn reset(&self) {
        self.shared.change(State::reset_all);
    }

    /// Closes one connection after exactly `count` more bytes from the server have gone to clients:
    /// the one that carries the last of them. Once.
    pub fn cut_after(&self, count: u64) {
        self.shared.change(|state| {
            state.cuts = VecDeque::from([count]);
            if count == 0 {
                state.cuts.clear();
                state.cut_all();
            }
        });
    }

    /// Does that several times: each count begins with the cut before it.
    pub fn cut_after_each(&self, counts: impl Into<VecDeque<u64>>) {
        let cuts = counts.into();
        self.shared.change(|state| state.cuts = cuts);
    }

    /// Refuses new connections, as a dead server's port does, or takes them again. Those that are
    /// there stay.
    ///
    /// # Panics
    ///
    /// If somebody else has taken the port meanwhile.
    #[track_caller]
    pub fn refuse(&self, refuse: bool) {
        let mut acceptor = lock(&self.acceptor);
        if refuse {
            acceptor.take();
        } else if acceptor.is_none() {
            let shared = Arc::clone(&self.shared);
            let listening = self.port.listen().and_then(|listener| {
                // Its connections inherit this.
                SockRef::from(&listener).set_recv_buffer_size(KERNEL_BUFFER)?;
                Acceptor::start(listener, move |client| shared.accepted(client))
            });
            *acceptor = Some(listening.expect("the proxy's port is free"));
        }
    }

    /// Closes the connections that come from these addresses, and takes no more of them until it is
    /// told other ones. Those that came before that are closed, however late they are looked at.
    pub(crate) fn bar(&self, sources: &BTreeSet<IpAddr>) {
        let barred = lock(&self.shared.state).barred.clone();
        if let Some(source) = barred.difference(sources).next() {
            self.await_closed_to(*source);
        }
        self.shared.change(|state| {
            state.barred.clone_from(sources);
            state.links.retain(|_, link| {
                let barred = is_from(&link.client, sources);
                if barred {
                    link.cut();
                }
                !barred
            });
        });
    }

    /// Waits until a connection from an address that is barred has been closed. They are looked at one after the other: all that
    /// were made before it have been too.
    fn await_closed_to(&self, source: IpAddr) {
        // If it fails, nobody is let in at all.
        if let Ok(mut last) = connected_from(source, self.port()) {
            let _ = last.set_read_timeout(Some(DEADLINE));
            let _ = last.read(&mut [0]);
        }
    }

    /// Accepts new connections and closes them at once, as a server with too many clients or a
    /// balancer without a server does.
    pub fn close_at_once(&self, close: bool) {
        self.shared.change(|state| state.close_at_once = close);
    }
}

/// Troubles on the way.
impl Proxy {
    /// Holds bytes back this long, either way. Under load up to twice as long: what arrives
    /// meanwhile waits its own time.
    pub fn delay(&self, delay: Duration) {
        self.shared.change(|state| state.delay = delay);
    }

    /// Forwards at most `size` bytes at a time, each a packet of its own; 0: no limit.
    ///
    /// A busy reader may still get several at once; with [`throttle`](Self::throttle) it will not.
    pub fn chunk(&self, size: usize) {
        self.shared
            .change(|state| state.chunk = (size > 0).then_some(size));
    }

    /// Forwards at most that many bytes in a second, each way of each connection; 0: no limit.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.shared
            .change(|state| state.rate = (bytes_per_second > 0).then_some(bytes_per_second));
    }

    /// Forwards nothing that way, not even an end, and keeps the sockets open: half-open
    /// connections, as when a cable is pulled. New connections come about and are as silent.
    pub fn silence(&self, direction: Direction) {
        self.shared.change(|state| {
            for way in direction.ways() {
                state.ways[*way as usize].silent = true;
            }
        });
    }

    /// Ends every silence; what was sent meanwhile goes on its way.
    pub fn resume(&self) {
        self.shared.change(|state| {
            for way in &mut state.ways {
                way.silent = false;
            }
        });
    }

    /// No more delay, limit, silence, refusal or cut to come: a plain proxy again.
    ///
    /// # Panics
    ///
    /// As [`refuse`](Self::refuse).
    #[track_caller]
    pub fn heal(&self) {
        self.shared.change(|state| {
            state.delay = Duration::ZERO;
            (state.chunk, state.rate) = (None, None);
            state.cuts.clear();
            state.close_at_once = false;
        });
        self.resume();
        self.refuse(false);
    }
}

/// What it has seen.
impl Proxy {
    /// How many connections are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.state).open()
    }

    /// How many there were in all, those that were closed at once included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        lock(&self.shared.state).accepted
    }

    /// How many bytes went from servers to clients.
    #[must_use]
    pub fn bytes_to_client(&self) -> u64 {
        lock(&self.shared.state).ways[Way::ToClient as usize].bytes
    }

    /// How many bytes went from clients to servers.
    #[must_use]
    pub fn bytes_to_server(&self) -> u64 {
        lock(&self.shared.state).ways[Way::ToServer as usize].bytes
    }

    /// Waits until exactly `count` connections are open.
    ///
    /// # Panics
    ///
    /// If that is not so within 10 s.
    #[track_caller]
    pub fn await_connections(&self, count: usize) {
        self.shared
            .await_state(&format!("{count} connections are open"), |state| {
                state.open() == count
            });
    }

    /// Waits until at least `count` connections were accepted in all.
    ///
    /// # Panics
    ///
    /// If that is not so within 10 s.
    #[track_caller]
    pub fn await_accepted(&self, count: u64) {
        self.shared
            .await_state(&format!("{count} connections were accepted"), |state| {
                state.accepted >= count
            });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        lock(&self.acceptor).take();
        self.shared.change(|state| {
            // For a connection that is just coming about.
            state.close_at_once = true;
            state.cut_all();
        });
    }
}

impl Direction {
    fn ways(self) -> &'static [Way] {
        match self {
            Self::Both => &[Way::ToClient, Way::ToServer],
            Self::ToClient => &[Way::ToClient],
            Self::ToServer => &[Way::ToServer],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToClient,
    ToServer,
}

/// What the handle and the threads of all connections see.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    close_at_once: bool,
    barred: BTreeSet<IpAddr>,
    delay: Duration,
    chunk: Option<usize>,
    rate: Option<u64>,
    /// After so many bytes more to clients a connection is cut, one cut after the other.
    cuts: VecDeque<u64>,
    ways: [WayState; 2],
    /// A connection that is cut is taken out of here, which is how its threads know.
    links: BTreeMap<u64, Link>,
    accepted: u64,
}

#[derive(Debug, Default)]
struct WayState {
    silent: bool,
    bytes: u64,
}

#[derive(Debug)]
struct Link {
    client: Arc<TcpStream>,
    server: Arc<TcpStream>,
    /// How many of its two ways have ended: one end was closed, the other is still to follow.
    ended: usize,
}

/// As much as a read brings; small enough to be held while a way is silent.
const BUFFER: usize = 64 * 1024;

/// The kernel takes no more from a client than about this before it is forwarded; left to itself it may take 32 MiB.
const KERNEL_BUFFER: usize = 256 * 1024;

/// How long a write may wait for a reader before it looks whether the connection was cut.
const WRITE_STEP: Duration = Duration::from_millis(20);

/// A throttled way sends this often in a second.
const SLICES: u64 = 100;

impl State {
    fn towards(target: SocketAddr) -> Self {
        Self {
            target,
            close_at_once: false,
            barred: BTreeSet::new(),
            delay: Duration::ZERO,
            chunk: None,
            rate: None,
            cuts: VecDeque::new(),
            ways: Default::default(),
            links: BTreeMap::new(),
            accepted: 0,
        }
    }

    fn welcomes(&self, client: &TcpStream) -> bool {
        !self.close_at_once && !is_from(client, &self.barred)
    }

    fn open(&self) -> usize {
        self.links.values().filter(|link| link.ended == 0).count()
    }

    fn cut_all(&mut self) {
        for link in std::mem::take(&mut self.links).into_values() {
            link.cut();
        }
    }

    fn reset_all(&mut self) {
        for link in std::mem::take(&mut self.links).into_values() {
            for stream in [&link.client, &link.server] {
                let _ = SockRef::from(&**stream).set_linger(Some(Duration::ZERO));
                // Wakes the thread that reads, without a word to the other side; the reset goes out
                // when the last thread lets go.
                let _ = stream.shutdown(Shutdown::Read);
            }
        }
    }

    /// How many of `wanted` bytes may go now, and whether the connection is then to be cut.
    fn allow(&mut self, way: Way, wanted: usize) -> (usize, bool) {
        let mut allowed = wanted.min(self.chunk.unwrap_or(usize::MAX));
        if let Some(rate) = self.rate {
            allowed = allowed.min(usize::try_from(rate / SLICES).unwrap_or(usize::MAX).max(1));
        }
        if way == Way::ToClient
            && let Some(left) = self.cuts.front_mut()
        {
            allowed = allowed.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= allowed as u64;
        }
        let is_last = way == Way::ToClient && self.cuts.front() == Some(&0);
        if is_last {
            // Another connection must not take this for its own end.
            self.cuts.pop_front();
        }
        // Counted before they are written: whoever has read them finds them counted.
        self.ways[way as usize].bytes += allowed as u64;
        (allowed, is_last)
    }
}

impl Link {
    fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }

    #[track_caller]
    fn await_state(&self, what: &str, mut condition: impl FnMut(&State) -> bool) {
        let state = lock(&self.state);
        let waited = self
            .changed
            .wait_timeout_while(state, DEADLINE, |state| !condition(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timeout.timed_out(),
            "waited {DEADLINE:?} in vain until {what}: {} are open, {} were accepted",
            state.open(),
            state.accepted
        );
    }

    fn accepted(self: &Arc<Self>, client: TcpStream) {
        let mut number = 0;
        let mut is_welcome = true;
        self.change(|state| {
            state.accepted += 1;
            number = state.accepted;
            is_welcome = state.welcomes(&client);
        });
        if !is_welcome {
            return;
        }
        let shared = Arc::clone(self);
        // The target may be slow to answer; others must not wait for that.
        thread::spawn(move || {
            // If that fails, the client is closed: there is nobody behind.
            let _ = shared.connect(number, client);
            shared.changed.notify_all();
        });
    }

    fn connect(self: &Arc<Self>, number: u64, client: TcpStream) -> io::Result<()> {
        let target = lock(&self.state).target;
        let server = TcpStream::connect_timeout(&target, DEADLINE)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(WRITE_STEP))?;
        }
        let (client, server) = (Arc::new(client), Arc::new(server));
        let link = Link {
            client: Arc::clone(&client),
            server: Arc::clone(&server),
            ended: 0,
        };
        let mut state = lock(&self.state);
        // That may have changed meanwhile.
        if !state.welcomes(&client) {
            return Ok(());
        }
        state.links.insert(number, link);
        drop(state);
        let to_client = Relay {
            shared: Arc::clone(self),
            number,
            way: Way::ToClient,
        };
        let to_server = Relay {
            shared: Arc::clone(self),
            number,
            way: Way::ToServer,
        };
        let (other_client, other_server) = (Arc::clone(&client), Arc::clone(&server));
        thread::spawn(move || to_client.run(&other_server, &other_client));
        thread::spawn(move || to_server.run(&client, &server));
        Ok(())
    }
}

/// One way of one connection.
struct Relay {
    shared: Arc<Shared>,
    number: u64,
    way: Way,
}

impl Relay {
    fn run(&self, mut from: &TcpStream, to: &TcpStream) {
        let mut buffer = vec![0; BUFFER];
        let mut not_before = Instant::now();
        loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(read) if read > 0 => {
                    if !self.forward(&buffer[..read], to, &mut not_before) {
                        break;
                    }
                }
                _ => {
                    // An end is as silent and as slow as bytes are.
                    if self.turn(Instant::now(), Instant::now()).is_some() {
                        let _ = to.shutdown(Shutdown::Write);
                    }
                    break;
                }
            }
        }
        self.shared.change(|state| {
            if let Some(link) = state.links.get_mut(&self.number) {
                link.ended += 1;
                if link.ended == 2 {
                    state.links.remove(&self.number);
                }
            }
        });
    }

    /// Whether the connection goes on.
    fn forward(&self, mut bytes: &[u8], to: &TcpStream, not_before: &mut Instant) -> bool {
        let read_at = Instant::now();
        while !bytes.is_empty() {
            let Some(mut state) = self.turn(read_at, *not_before) else {
                return false;
            };
            let (allowed, is_last) = state.allow(self.way, bytes.len());
            if let Some(rate) = state.rate {
                let pause = Duration::from_secs_f64(allowed as f64 / rate as f64);
                *not_before = Instant::now() + pause;
            }
            drop(state);
            let (now, later) = bytes.split_at(allowed);
            if !self.write(now, to) {
                return false;
            }
            bytes = later;
            if is_last {
                self.cut();
                return false;
            }
            if !bytes.is_empty() {
                // Lets a reader on another core see the piece before the next one comes.
                thread::yield_now();
            }
        }
        true
    }

    fn cut(&self) {
        self.shared.change(|state| {
            if let Some(link) = state.links.remove(&self.number) {
                link.cut();
            }
        });
    }

    /// Waits until bytes read at that time may go. `None`: the connection was cut.
    fn turn(&self, read_at: Instant, not_before: Instant) -> Option<MutexGuard<'_, State>> {
        let mut state = lock(&self.shared.state);
        loop {
            if !state.links.contains_key(&self.number) {
                return None;
            }
            if state.ways[self.way as usize].silent {
                let woken = self.shared.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let due = not_before.max(read_at + state.delay);
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(state);
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn write(&self, mut bytes: &[u8], mut to: &TcpStream) -> bool {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(0) => return false,
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if !lock(&self.shared.state).links.contains_key(&self.number) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }
}

fn connected_from(source: IpAddr, port: u16) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect(&local(port).into())?;
    Ok(socket.into())
}

fn is_from(client: &TcpStream, sources: &BTreeSet<IpAddr>) -> bool {
    let peer = || client.peer_addr();
    !sources.is_empty() && peer().is_ok_and(|address| sources.contains(&address.ip()))
}

#[track_caller]
fn resolved(target: impl ToSocketAddrs) -> SocketAddr {
    let mut addresses = target
        .to_socket_addrs()
        .expect("an address such as 127.0.0.1:6379");
    addresses.next().expect("an address such as 127.0.0.1:6379")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn pieces_are_no_larger_than_the_smallest_limit() {
        let mut state = State::towards(local(1));
        assert_eq!(state.allow(Way::ToClient, 5_000), (5_000, false));
        state.chunk = Some(700);
        assert_eq!(state.allow(Way::ToClient, 5_000), (700, false));
        assert_eq!(state.allow(Way::ToClient, 5), (5, false));
        state.rate = Some(20_000);
        assert_eq!(state.allow(Way::ToClient, 5_000), (200, false));
        // However slow, it goes on.
        state.rate = Some(3);
        assert_eq!(state.allow(Way::ToServer, 5_000), (1, false));
    }

    #[test]
    fn a_cut_to_come_counts_only_what_goes_to_clients() {
        let mut state = State::towards(local(1));
        state.cuts = VecDeque::from([10, 5]);
        assert_eq!(state.allow(Way::ToServer, 100), (100, false));
        assert_eq!(state.allow(Way::ToClient, 7), (7, false));
        assert_eq!(state.allow(Way::ToClient, 7), (3, true));
        assert_eq!(state.allow(Way::ToClient, 7), (5, true));
        assert_eq!(state.allow(Way::ToClient, 7), (7, false));
    }

    #[test]
    fn what_was_sent_while_its_sender_was_barred_never_arrives() {
        let behind = TcpListener::bind(local(0)).unwrap();
        let proxy = Proxy::start(behind.local_addr().unwrap());
        let source = IpAddr::from([127, 0, 0, 9]);
        let send = |byte| {
            let mut sender = connected_from(source, proxy.port()).unwrap();
            sender.write_all(&[byte]).map(|()| sender)
        };
        proxy.bar(&BTreeSet::from([source]));
        let senders: Vec<_> = (0..50).map(|_| send(0)).collect();
        proxy.bar(&BTreeSet::new());
        let sender = send(1).unwrap();
        let (mut received, mut byte) = (behind.accept().unwrap().0, [0]);
        received.read_exact(&mut byte).unwrap();
        assert_eq!((byte, proxy.accepted()), ([1], 52));
        drop((sender, senders));
    }
}
