//! Calls of the methods of this group.

use std::time::Duration;

use crate::options::ClientFilter;

super::samples! {
    ping() => "PING";
    echo<String>("hello") => "ECHO hello";

    ping_message<String>("hello") => "PING hello";
    client_id() => "CLIENT ID";
    client_info() => "CLIENT INFO";
    client_getname() => "CLIENT GETNAME";
    client_getredir() => "CLIENT GETREDIR";
    client_trackinginfo<()>() => "CLIENT TRACKINGINFO";
    client_list() => "CLIENT LIST";
    client_list_with(ClientFilter::new().ids([1, 2])) => "CLIENT LIST ID 1 2";
    client_kill(
        ClientFilter::new().skipme(true).kind("pubsub").not_user("a")
    ) => "CLIENT KILL TYPE pubsub SKIPME yes NOT-USER a";
    client_unblock(3) => "CLIENT UNBLOCK 3";
    client_unblock_error(3) => "CLIENT UNBLOCK 3 ERROR";
    client_pause(Duration::from_secs(1)) => "CLIENT PAUSE 1000";
    client_pause_write(Duration::from_secs(1)) => "CLIENT PAUSE 1000 WRITE";
    client_no_evict(true) => "CLIENT NO-EVICT ON";
    client_unpause() => "CLIENT UNPAUSE";
}
