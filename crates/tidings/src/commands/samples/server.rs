//! Calls of the methods of this group.

use crate::options::{CommandListOptions, FailoverOptions, ModuleLoadexOptions, ShutdownOptions};

super::samples! {
    info() => "INFO";
    info_of(["server", "memory"]) => "INFO server memory";
    time() => "TIME";
    dbsize() => "DBSIZE";
    flushdb() => "FLUSHDB";
    flushdb_async() => "FLUSHDB ASYNC";
    flushdb_sync() => "FLUSHDB SYNC";
    flushall() => "FLUSHALL";
    flushall_async() => "FLUSHALL ASYNC";
    flushall_sync() => "FLUSHALL SYNC";
    swapdb(0, 1) => "SWAPDB 0 1";
    config_get(["save", "max*"]) => "CONFIG GET save max*";
    config_set([("save", ""), ("maxclients", "100")]) => "CONFIG SET save  maxclients 100";
    config_resetstat() => "CONFIG RESETSTAT";
    config_rewrite() => "CONFIG REWRITE";
    save() => "SAVE";
    bgsave() => "BGSAVE";
    bgsave_schedule() => "BGSAVE SCHEDULE";
    bgsave_cancel() => "BGSAVE CANCEL";
    bgrewriteaof() => "BGREWRITEAOF";
    lastsave() => "LASTSAVE";
    shutdown() => "SHUTDOWN";
    shutdown_with(ShutdownOptions::new().now().nosave()) => "SHUTDOWN NOSAVE NOW";
    shutdown_abort() => "SHUTDOWN ABORT";
    role<()>() => "ROLE";
    replicaof("host", 6379) => "REPLICAOF host 6379";
    replicaof_no_one() => "REPLICAOF NO ONE";
    slaveof("host", 6379) => "SLAVEOF host 6379";
    slaveof_no_one() => "SLAVEOF NO ONE";
    failover() => "FAILOVER";
    failover_with(
        FailoverOptions::new().timeout(std::time::Duration::from_secs(1)).to_by_force("host", 6379)
    ) => "FAILOVER TO host 6379 FORCE TIMEOUT 1000";
    failover_abort() => "FAILOVER ABORT";
    command<()>() => "COMMAND";
    command_count() => "COMMAND COUNT";
    command_list() => "COMMAND LIST";
    command_list_with(CommandListOptions::new().pattern("x*")) => "COMMAND LIST FILTERBY PATTERN x*";
    command_info<(), _>(["get", "set"]) => "COMMAND INFO get set";
    command_docs<(), _>("get") => "COMMAND DOCS get";
    command_getkeys<Vec<String>, _>(["MSET", "a", "1", "b", "2"]) => "COMMAND GETKEYS MSET a 1 b 2";
    command_getkeysandflags<(), _>(["GET", "a"]) => "COMMAND GETKEYSANDFLAGS GET a";
    module_list<()>() => "MODULE LIST";
    module_load("/m.so", ["x", "y"]) => "MODULE LOAD /m.so x y";
    module_loadex(
        "/m.so", ModuleLoadexOptions::new().args(["x"]).config("m.a", 1).config("m.b", 2)
    ) => "MODULE LOADEX /m.so CONFIG m.a 1 CONFIG m.b 2 ARGS x";
    module_unload("m") => "MODULE UNLOAD m";
    lolwut() => "LOLWUT";
}
