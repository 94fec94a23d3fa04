//! Calls of the methods of this group.

super::samples! {
    ping() => "PING";
    echo<String>("hello") => "ECHO hello";
}
