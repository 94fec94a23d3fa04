//! Calls of the methods of this group.

use std::time::Duration;

use crate::options::{
    CopyOptions, ExpireOptions, MigrateOptions, RestoreOptions, ScanOptions, SortOptions,
};

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

    copy("a", "b") => "COPY a b";
    copy_with("a", "b", CopyOptions::new().replace().database(1)) => "COPY a b DB 1 REPLACE";
    dump<Vec<u8>>("a") => "DUMP a";
    restore("a", 0, "bytes") => "RESTORE a 0 bytes";
    restore_with(
        "a", 9, "bytes", RestoreOptions::new().replace().absttl().freq(3)
    ) => "RESTORE a 9 bytes REPLACE ABSTTL FREQ 3";
    expire_with("a", 10, ExpireOptions::new().nx()) => "EXPIRE a 10 NX";
    pexpire_with("a", 10, ExpireOptions::new().lt().xx()) => "PEXPIRE a 10 XX LT";
    expireat("a", 10) => "EXPIREAT a 10";
    expireat_with("a", 10, ExpireOptions::new().gt()) => "EXPIREAT a 10 GT";
    pexpireat("a", 10) => "PEXPIREAT a 10";
    pexpireat_with("a", 10, ExpireOptions::new().xx()) => "PEXPIREAT a 10 XX";
    expiretime("a") => "EXPIRETIME a";
    pexpiretime("a") => "PEXPIRETIME a";
    renamenx("a", "b") => "RENAMENX a b";
    move_key("a", 1) => "MOVE a 1";
    touch(["a", "b"]) => "TOUCH a b";
    randomkey<Option<String>>() => "RANDOMKEY";
    scan<(u64, Vec<String>)>(0) => "SCAN 0";
    scan_with<(u64, Vec<String>)>(
        17, ScanOptions::new().count(100).pattern("a*").kind("set")
    ) => "SCAN 17 MATCH a* COUNT 100 TYPE set";
    sort<Vec<String>>("a") => "SORT a";
    sort_with<Vec<String>>(
        "a", SortOptions::new().by("w:*").get("#").get("v:*").limit(0, 3).desc().alpha()
    ) => "SORT a BY w:* LIMIT 0 3 GET # GET v:* DESC ALPHA";
    sort_store("a", SortOptions::new().desc(), "b") => "SORT a DESC STORE b";
    sort_ro<Vec<String>>("a") => "SORT_RO a";
    sort_ro_with<Vec<String>>("a", SortOptions::new().asc()) => "SORT_RO a ASC";
    object_encoding("a") => "OBJECT ENCODING a";
    object_freq("a") => "OBJECT FREQ a";
    object_idletime("a") => "OBJECT IDLETIME a";
    object_refcount("a") => "OBJECT REFCOUNT a";
    migrate(
        "host",
        6379,
        ["a", "b"],
        1,
        Duration::from_secs(1),
        MigrateOptions::new().copy().replace().auth2("user", "password")
    ) => "MIGRATE host 6379  1 1000 COPY REPLACE AUTH2 user password KEYS a b";
    wait(1, Duration::from_millis(100)) => "WAIT 1 100";
    waitaof(1, 0, Duration::ZERO) => "WAITAOF 1 0 0";
}
