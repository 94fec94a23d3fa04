//! Which class of notifications an operation is of.

/// Operations by their class, as servers call both.
///
/// `tidings/tests/keyspace.rs` asks real servers.
const CLASSES: [(u8, &[&str]); 12] = [
    (
        b'g',
        &[
            "copy_to",
            "del",
            "expire",
            "move_from",
            "move_to",
            "persist",
            "rename_from",
            "rename_to",
            "restore",
        ],
    ),
    (
        b'$',
        &[
            "append",
            "decrby",
            "incrby",
            "incrbyfloat",
            "pfadd",
            "set",
            "setbit",
            "setrange",
        ],
    ),
    (
        b'l',
        &[
            "linsert",
            "lpop",
            "lpush",
            "lrem",
            "lset",
            "ltrim",
            "rpop",
            "rpush",
            "sortstore",
        ],
    ),
    (
        b's',
        &[
            "sadd",
            "sdiffstore",
            "sinterstore",
            "spop",
            "srem",
            "sunionstore",
        ],
    ),
    (
        b'h',
        &[
            "hdel",
            "hexpire",
            "hexpired",
            "hincrby",
            "hincrbyfloat",
            "hpersist",
            "hset",
        ],
    ),
    (
        b'z',
        &[
            "georadiusstore",
            "geosearchstore",
            "zadd",
            "zdiffstore",
            "zincr",
            "zinterstore",
            "zpopmax",
            "zpopmin",
            "zrangestore",
            "zrem",
            "zremrangebylex",
            "zremrangebyrank",
            "zremrangebyscore",
            "zunionstore",
        ],
    ),
    (
        b't',
        &[
            "xadd",
            "xautoclaim",
            "xclaim",
            "xdel",
            "xgroup-create",
            "xgroup-createconsumer",
            "xgroup-delconsumer",
            "xgroup-destroy",
            "xgroup-setid",
            "xsetid",
            "xtrim",
        ],
    ),
    (b'x', &["expired"]),
    (b'e', &["evicted"]),
    (b'n', &["new"]),
    (b'm', &["keymiss"]),
    (b'o', &["overwritten"]),
];

/// The letter of an operation's class; `None` for one that is not known here, such as a module's.
pub(super) fn class_of(operation: &[u8]) -> Option<u8> {
    let is_in = |names: &[&str]| names.iter().any(|name| name.as_bytes() == operation);
    let class = CLASSES.iter().find(|(_, names)| is_in(names));
    class.map(|(letter, _)| *letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_stands_once_and_in_order() {
        let mut all: Vec<&str> = Vec::new();
        for (_, names) in CLASSES {
            assert!(names.is_sorted(), "{names:?}");
            all.extend(names);
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn an_operation_that_is_not_known_has_no_class() {
        assert_eq!(class_of(b"set"), Some(b'$'));
        assert_eq!(class_of(b"expired"), Some(b'x'));
        assert_eq!(class_of(b"json.set"), None);
        assert_eq!(class_of(b"SET"), None);
    }
}
