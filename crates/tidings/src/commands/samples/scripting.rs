//! Calls of the methods of this group.

use crate::options::{FunctionListOptions, RestorePolicy};

super::samples! {
    eval<i64, _, _>("return 1", ["a", "b"], [1]) => "EVAL return 1 2 a b 1";
    eval_ro<i64, _, _>("return 1", "a", 1) => "EVAL_RO return 1 1 a 1";
    evalsha<i64, _, _>("hash", ["a"], None::<&str>) => "EVALSHA hash 1 a";
    evalsha_ro<i64, _, _>("hash", None::<&str>, [1, 2]) => "EVALSHA_RO hash 0 1 2";
    script_load("return 1") => "SCRIPT LOAD return 1";
    script_exists(["hash", "other"]) => "SCRIPT EXISTS hash other";
    script_show("hash") => "SCRIPT SHOW hash";
    script_flush() => "SCRIPT FLUSH";
    script_flush_async() => "SCRIPT FLUSH ASYNC";
    script_flush_sync() => "SCRIPT FLUSH SYNC";
    script_kill() => "SCRIPT KILL";
    fcall<i64, _, _>("f", ["a", "b"], [1]) => "FCALL f 2 a b 1";
    fcall_ro<i64, _, _>("f", ["a"], [1]) => "FCALL_RO f 1 a 1";
    function_load("code") => "FUNCTION LOAD code";
    function_load_replace("code") => "FUNCTION LOAD REPLACE code";
    function_list<()>() => "FUNCTION LIST";
    function_list_with<()>(
        FunctionListOptions::new().withcode().libraryname("l*")
    ) => "FUNCTION LIST LIBRARYNAME l* WITHCODE";
    function_delete("l") => "FUNCTION DELETE l";
    function_flush() => "FUNCTION FLUSH";
    function_flush_async() => "FUNCTION FLUSH ASYNC";
    function_flush_sync() => "FUNCTION FLUSH SYNC";
    function_dump<Vec<u8>>() => "FUNCTION DUMP";
    function_restore("bytes") => "FUNCTION RESTORE bytes";
    function_restore_with("bytes", RestorePolicy::Replace) => "FUNCTION RESTORE bytes REPLACE";
    function_stats<()>() => "FUNCTION STATS";
    function_kill() => "FUNCTION KILL";
}
