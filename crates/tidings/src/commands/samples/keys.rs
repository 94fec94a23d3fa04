//! Calls of the methods of this group.

super::samples! {
    del(["a", "b"]) => "DEL a b";
    unlink("a") => "UNLINK a";
    exists(["a", "b"]) => "EXISTS a b";
    expire("a", 10) => "EXPIRE a 10";
    pexpire("a", 10) => "PEXPIRE a 10";
    persist("a") => "PERSIST a";
    ttl("a") => "TTL a";
    pttl("a") => "PTTL a";
    key_type("a") => "TYPE a";
    rename("a", "b") => "RENAME a b";
    keys<Vec<String>>("*") => "KEYS *";
}
