//! Commands about the connection.

use tidings_proto::{ToArg, ToArgs};

use super::args::{YesNo, options};

/// The table of connection commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `PING`: resolves when the server has answered.
            ///
            /// O(1), since 1.0.0.
            fn ping() -> () = ["PING"];

            /// `ECHO`: the message, from the server.
            ///
            /// O(1), since 1.0.0.
            fn echo[T](message: impl ToArg) -> T = ["ECHO" message];

            /// `PING` with a message, which comes back.
            ///
            /// O(1), since 2.8.0.
            fn ping_message[T](message: impl ToArg) -> T = ["PING" message];

            /// `CLIENT ID`: the server's number for the connection that this client's commands share.
            ///
            /// O(1), since 5.0.0.
            fn client_id() -> i64 = ["CLIENT" "ID"];

            /// `CLIENT INFO`: what the server says of that connection, as a line of
            /// [`client_list`](Commands::client_list).
            ///
            /// O(1), since 6.2.0.
            fn client_info() -> String = ["CLIENT" "INFO"];

            /// `CLIENT GETNAME`: that connection's name, which is set in the URL.
            ///
            /// O(1), since 2.6.9.
            fn client_getname() -> Option<String> = ["CLIENT" "GETNAME"];

            /// `CLIENT GETREDIR`: which connection is told of that connection's tracked keys; -1 as nothing is tracked.
            ///
            /// O(1), since 6.0.0.
            fn client_getredir() -> i64 = ["CLIENT" "GETREDIR"];

            /// `CLIENT TRACKINGINFO`: what that connection tracks, a map of `flags`, `redirect` and `prefixes`:
            /// `HashMap<String, Value>`.
            ///
            /// O(1), since 6.2.0.
            fn client_trackinginfo[T]() -> T = ["CLIENT" "TRACKINGINFO"];

            /// `CLIENT LIST`: all connections of the server, one a line: `id=3 addr=… name=… …`.
            ///
            /// O(number of connections), since 2.4.0.
            fn client_list() -> String = ["CLIENT" "LIST"];

            /// `CLIENT LIST` of some connections.
            ///
            /// O(number of connections), since 5.0.0; which filters there are depends on the server.
            fn client_list_with(filter: ClientFilter) -> String = ["CLIENT" "LIST" filter];

            /// `CLIENT KILL`: ends connections; how many. The one that asks is spared unless
            /// [`skipme(false)`](ClientFilter::skipme) says otherwise.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::ClientFilter};
            ///
            /// let ended = client.client_kill(ClientFilter::new().user("guest").kind("pubsub")).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(number of connections), since 2.8.12; which filters there are depends on the server.
            fn client_kill(filter: ClientFilter) -> i64 = ["CLIENT" "KILL" filter];

            /// `CLIENT UNBLOCK`: ends the wait of a connection in a blocking command, as if its time were over; whether
            /// it waited.
            ///
            /// O(log(number of connections)), since 5.0.0.
            fn client_unblock(id: i64) -> bool = ["CLIENT" "UNBLOCK" id];

            /// `CLIENT UNBLOCK … ERROR`: ends the wait of a connection in a blocking command with an error; whether it
            /// waited.
            ///
            /// O(log(number of connections)), since 5.0.0.
            fn client_unblock_error(id: i64) -> bool = ["CLIENT" "UNBLOCK" id "ERROR"];

            /// `CLIENT PAUSE`: runs nobody's commands for so long, or until
            /// [`client_unpause`](Commands::client_unpause).
            ///
            /// O(1), since 3.0.0.
            fn client_pause(time: Duration) -> () = ["CLIENT" "PAUSE" (Milliseconds(time))];

            /// `CLIENT PAUSE … WRITE`: runs nobody's commands that write for so long, or until
            /// [`client_unpause`](Commands::client_unpause).
            ///
            /// O(1), since 6.2.0.
            fn client_pause_write(time: Duration) -> () = ["CLIENT" "PAUSE" (Milliseconds(time)) "WRITE"];

            /// `CLIENT NO-EVICT`: whether the server spares the connection that this client's commands share when the
            /// memory of all connections together is too much (`maxmemory-clients`). The next one, after a loss, is
            /// as any other.
            ///
            /// O(1), since 7.0.0.
            fn client_no_evict(on: bool) -> () = ["CLIENT" "NO-EVICT" (OnOff(on))];

            /// `CLIENT UNPAUSE`: runs commands again.
            ///
            /// O(number of connections that wait), since 6.2.0.
            fn client_unpause() -> () = ["CLIENT" "UNPAUSE"];
        }
    };
}

pub(super) use table;

options! {
    ///
    /// Which connections [`client_list_with`](super::Commands::client_list_with) and
    /// [`client_kill`](super::Commands::client_kill) are about: those that all filters let through.
    ///
    /// Redis 7.0 lists by `ids` and `kind` only, and ends by those, `user`, `addr`, `laddr` and `skipme`.
    pub struct ClientFilter {
        ids {
            /// Those of these numbers.
            fn ids<S>(ids: impl ToArgs<S>) = ["ID" ids];
        }
        kind {
            /// Of a kind: `normal`, `replica`, `primary` (`master`) or `pubsub`.
            fn kind(kind: impl ToArg) = ["TYPE" kind];
        }
        user {
            /// Of a user.
            fn user(name: impl ToArg) = ["USER" name];
        }
        addr {
            /// From an address, `ip:port`.
            fn addr(address: impl ToArg) = ["ADDR" address];
        }
        laddr {
            /// To an address of the server, `ip:port`.
            fn laddr(address: impl ToArg) = ["LADDR" address];
        }
        skipme {
            /// Whether the connection that asks is spared.
            fn skipme(skip: bool) = ["SKIPME" (YesNo(skip))];
        }
        maxage {
            /// Older than so many seconds. Since 7.4.0, Valkey 8.0.
            fn maxage(seconds: i64) = ["MAXAGE" seconds];
        }
        name {
            /// Of a name. Since Valkey 9.0, as all below.
            fn name(name: impl ToArg) = ["NAME" name];
        }
        idle {
            /// Idle for so many seconds.
            fn idle(seconds: i64) = ["IDLE" seconds];
        }
        flags {
            /// With all of these flags, as in the list.
            fn flags(flags: impl ToArg) = ["FLAGS" flags];
        }
        lib_name {
            /// Of a client library.
            fn lib_name(name: impl ToArg) = ["LIB-NAME" name];
        }
        lib_ver {
            /// Of a version of the client library.
            fn lib_ver(version: impl ToArg) = ["LIB-VER" version];
        }
        database {
            /// In a database.
            fn database(number: i64) = ["DB" number];
        }
        capa {
            /// With a capability.
            fn capa(capability: impl ToArg) = ["CAPA" capability];
        }
        ip {
            /// From an address without a port.
            fn ip(address: impl ToArg) = ["IP" address];
        }
        not_ids {
            /// None of these numbers.
            fn not_ids<S>(ids: impl ToArgs<S>) = ["NOT-ID" ids];
        }
        not_kind {
            /// Not of a kind.
            fn not_kind(kind: impl ToArg) = ["NOT-TYPE" kind];
        }
        not_user {
            /// Not of a user.
            fn not_user(name: impl ToArg) = ["NOT-USER" name];
        }
        not_addr {
            /// Not from an address.
            fn not_addr(address: impl ToArg) = ["NOT-ADDR" address];
        }
        not_laddr {
            /// Not to an address of the server.
            fn not_laddr(address: impl ToArg) = ["NOT-LADDR" address];
        }
        not_name {
            /// Not of a name.
            fn not_name(name: impl ToArg) = ["NOT-NAME" name];
        }
        not_flags {
            /// Without these flags.
            fn not_flags(flags: impl ToArg) = ["NOT-FLAGS" flags];
        }
        not_lib_name {
            /// Not of a client library.
            fn not_lib_name(name: impl ToArg) = ["NOT-LIB-NAME" name];
        }
        not_lib_ver {
            /// Not of a version of the client library.
            fn not_lib_ver(version: impl ToArg) = ["NOT-LIB-VER" version];
        }
        not_database {
            /// Not in a database.
            fn not_database(number: i64) = ["NOT-DB" number];
        }
        not_capa {
            /// Without a capability.
            fn not_capa(capability: impl ToArg) = ["NOT-CAPA" capability];
        }
        not_ip {
            /// Not from an address without a port.
            fn not_ip(address: impl ToArg) = ["NOT-IP" address];
        }
    }
}
