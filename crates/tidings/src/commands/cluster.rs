//! Commands about a cluster, as one of its nodes runs them.

use tidings_proto::{ToArg, ToArgs};

use super::args::options;

/// The table of cluster commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `CLUSTER INFO`: the state of the cluster as this node sees it, in lines `name:value`.
            ///
            /// O(1), since 3.0.0.
            fn cluster_info() -> String = ["CLUSTER" "INFO"];

            /// `CLUSTER MYID`: the node's number.
            ///
            /// O(1), since 3.0.0.
            fn cluster_myid() -> String = ["CLUSTER" "MYID"];

            /// `CLUSTER MYSHARDID`: the number of the node's shard.
            ///
            /// O(1), since 7.2.0.
            fn cluster_myshardid() -> String = ["CLUSTER" "MYSHARDID"];

            /// `CLUSTER NODES`: the nodes that this one knows, one a line.
            ///
            /// O(number of nodes), since 3.0.0.
            fn cluster_nodes() -> String = ["CLUSTER" "NODES"];

            /// `CLUSTER SHARDS`: the shards with their slots and nodes, `Vec<HashMap<String, Value>>`.
            ///
            /// O(number of nodes), since 7.0.0.
            fn cluster_shards[T]() -> T = ["CLUSTER" "SHARDS"];

            /// `CLUSTER SLOTS`: ranges of slots, each with the nodes that serve it, `Vec<Vec<Value>>`: first slot, last
            /// slot, the primary, its replicas.
            ///
            /// O(number of nodes), since 3.0.0.
            fn cluster_slots[T]() -> T = ["CLUSTER" "SLOTS"];

            /// `CLUSTER LINKS`: the node's links to the others, `Vec<HashMap<String, Value>>`.
            ///
            /// O(number of nodes), since 7.0.0.
            fn cluster_links[T]() -> T = ["CLUSTER" "LINKS"];

            /// `CLUSTER REPLICAS`: the replicas of a primary, as lines of [`cluster_nodes`](Commands::cluster_nodes).
            ///
            /// O(number of replicas), since 5.0.0.
            fn cluster_replicas(node: impl ToArg) -> Vec<String> = ["CLUSTER" "REPLICAS" node];

            /// `CLUSTER SLAVES`: as [`cluster_replicas`](Commands::cluster_replicas). Deprecated by the server in
            /// favour of it.
            ///
            /// O(number of replicas), since 3.0.0.
            fn cluster_slaves(node: impl ToArg) -> Vec<String> = ["CLUSTER" "SLAVES" node];

            /// `CLUSTER KEYSLOT`: the slot of a key.
            ///
            /// O(length of the key), since 3.0.0.
            fn cluster_keyslot(key: impl ToArg) -> i64 = ["CLUSTER" "KEYSLOT" key];

            /// `CLUSTER COUNTKEYSINSLOT`: how many keys of a slot this node has.
            ///
            /// O(1), since 3.0.0.
            fn cluster_countkeysinslot(slot: u16) -> i64 = ["CLUSTER" "COUNTKEYSINSLOT" slot];

            /// `CLUSTER GETKEYSINSLOT`: keys of a slot that this node has, so many at most: `Vec<String>`.
            ///
            /// O(number of keys that come back), since 3.0.0.
            fn cluster_getkeysinslot[T](slot: u16, count: i64) -> T = ["CLUSTER" "GETKEYSINSLOT" slot count];

            /// `CLUSTER COUNT-FAILURE-REPORTS`: how many nodes report that a node fails.
            ///
            /// O(number of reports), since 3.0.0.
            fn cluster_count_failure_reports(node: impl ToArg) -> i64 = ["CLUSTER" "COUNT-FAILURE-REPORTS" node];

            /// `CLUSTER SLOT-STATS SLOTSRANGE`: how the slots of a range are used, of those that this node serves:
            /// `Vec<(i64, HashMap<String, i64>)>`.
            ///
            /// O(number of slots), since Valkey 8.0.
            fn cluster_slot_stats_range[T](first: u16, last: u16) -> T
                = ["CLUSTER" "SLOT-STATS" "SLOTSRANGE" first last];

            /// `CLUSTER SLOT-STATS ORDERBY`: how the slots are used that this node serves, by a measure such as
            /// `key-count`.
            ///
            /// O(n·log n) for n slots, since Valkey 8.0.
            fn cluster_slot_stats_by[T](metric: impl ToArg, options: SlotStatsOptions) -> T
                = ["CLUSTER" "SLOT-STATS" "ORDERBY" metric options];

            /// `CLUSTER MEET`: makes this node and another one know each other.
            ///
            /// O(1), since 3.0.0.
            fn cluster_meet(ip: impl ToArg, port: u16) -> () = ["CLUSTER" "MEET" ip port];

            /// `CLUSTER MEET` where the other node's bus has a port of its own.
            ///
            /// O(1), since 4.0.0.
            fn cluster_meet_at(ip: impl ToArg, port: u16, bus_port: u16) -> () = ["CLUSTER" "MEET" ip port bus_port];

            /// `CLUSTER FORGET`: makes this node forget another one, for a minute at least.
            ///
            /// O(1), since 3.0.0.
            fn cluster_forget(node: impl ToArg) -> () = ["CLUSTER" "FORGET" node];

            /// `CLUSTER ADDSLOTS`: gives slots that nobody has to this node.
            ///
            /// O(number of slots), since 3.0.0.
            fn cluster_addslots<S>(slots: impl ToArgs<S>) -> () = ["CLUSTER" "ADDSLOTS" slots];

            /// `CLUSTER ADDSLOTSRANGE`: gives ranges of slots, `[(first, last)]`, that nobody has to this node.
            ///
            /// O(number of slots), since 7.0.0.
            fn cluster_addslotsrange<S>(ranges: impl ToArgs<S>) -> () = ["CLUSTER" "ADDSLOTSRANGE" ranges];

            /// `CLUSTER DELSLOTS`: makes this node forget who has the slots.
            ///
            /// O(number of slots), since 3.0.0.
            fn cluster_delslots<S>(slots: impl ToArgs<S>) -> () = ["CLUSTER" "DELSLOTS" slots];

            /// `CLUSTER DELSLOTSRANGE`: makes this node forget who has the slots of ranges, `[(first, last)]`.
            ///
            /// O(number of slots), since 7.0.0.
            fn cluster_delslotsrange<S>(ranges: impl ToArgs<S>) -> () = ["CLUSTER" "DELSLOTSRANGE" ranges];

            /// `CLUSTER FLUSHSLOTS`: makes this node, which must be empty, forget who has its slots.
            ///
            /// O(1), since 3.0.0.
            fn cluster_flushslots() -> () = ["CLUSTER" "FLUSHSLOTS"];

            /// `CLUSTER FLUSHSLOT`: removes all keys of a slot from this node.
            ///
            /// O(number of keys), since Valkey 9.0.
            fn cluster_flushslot(slot: u16) -> () = ["CLUSTER" "FLUSHSLOT" slot];

            /// `CLUSTER FLUSHSLOT … ASYNC`: removes all keys of a slot from this node and frees their memory in the
            /// background.
            ///
            /// O(number of keys), since Valkey 9.0.
            fn cluster_flushslot_async(slot: u16) -> () = ["CLUSTER" "FLUSHSLOT" slot "ASYNC"];

            /// `CLUSTER FLUSHSLOT … SYNC`: removes all keys of a slot from this node and frees their memory before it
            /// answers, whatever the server is configured to.
            ///
            /// O(number of keys), since Valkey 9.0.
            fn cluster_flushslot_sync(slot: u16) -> () = ["CLUSTER" "FLUSHSLOT" slot "SYNC"];

            /// `CLUSTER SETSLOT … IMPORTING`: this node takes over a slot from another one.
            ///
            /// O(1), since 3.0.0.
            fn cluster_setslot_importing(slot: u16, from: impl ToArg) -> ()
                = ["CLUSTER" "SETSLOT" slot "IMPORTING" from];

            /// `CLUSTER SETSLOT … MIGRATING`: this node hands a slot over to another one.
            ///
            /// O(1), since 3.0.0.
            fn cluster_setslot_migrating(slot: u16, to: impl ToArg) -> () = ["CLUSTER" "SETSLOT" slot "MIGRATING" to];

            /// `CLUSTER SETSLOT … NODE`: the slot is another node's from now on.
            ///
            /// O(1), since 3.0.0.
            fn cluster_setslot_node(slot: u16, node: impl ToArg) -> () = ["CLUSTER" "SETSLOT" slot "NODE" node];

            /// `CLUSTER SETSLOT … STABLE`: the slot is neither taken over nor handed over.
            ///
            /// O(1), since 3.0.0.
            fn cluster_setslot_stable(slot: u16) -> () = ["CLUSTER" "SETSLOT" slot "STABLE"];

            /// `CLUSTER MIGRATESLOTS`: hands slots over to other nodes, in the background.
            ///
            /// O(number of slots), since Valkey 9.0.
            fn cluster_migrateslots(migrations: SlotMigrations) -> () = ["CLUSTER" "MIGRATESLOTS" migrations];

            /// `CLUSTER GETSLOTMIGRATIONS`: slots that are, or were lately, handed over or taken over,
            /// `Vec<HashMap<String, Value>>`.
            ///
            /// O(number of migrations), since Valkey 9.0.
            fn cluster_getslotmigrations[T]() -> T = ["CLUSTER" "GETSLOTMIGRATIONS"];

            /// `CLUSTER CANCELSLOTMIGRATIONS`: calls off all migrations of slots.
            ///
            /// O(number of migrations), since Valkey 9.0.
            fn cluster_cancelslotmigrations() -> () = ["CLUSTER" "CANCELSLOTMIGRATIONS"];

            /// `CLUSTER REPLICATE`: makes this node a replica of a primary.
            ///
            /// O(1), since 3.0.0.
            fn cluster_replicate(node: impl ToArg) -> () = ["CLUSTER" "REPLICATE" node];

            /// `CLUSTER REPLICATE NO ONE`: makes this node an empty primary without slots.
            ///
            /// O(1), since Valkey 9.0.
            fn cluster_replicate_no_one() -> () = ["CLUSTER" "REPLICATE" "NO" "ONE"];

            /// `CLUSTER FAILOVER`: makes this replica the primary, once it has all that was written. It is answered
            /// when that has begun.
            ///
            /// O(1), since 3.0.0.
            fn cluster_failover() -> () = ["CLUSTER" "FAILOVER"];

            /// `CLUSTER FAILOVER FORCE`: as [`cluster_failover`](Commands::cluster_failover) where the primary does not
            /// answer.
            ///
            /// O(1), since 3.0.0.
            fn cluster_failover_force() -> () = ["CLUSTER" "FAILOVER" "FORCE"];

            /// `CLUSTER FAILOVER TAKEOVER`: makes this replica the primary without asking any other node.
            ///
            /// O(1), since 3.0.0.
            fn cluster_failover_takeover() -> () = ["CLUSTER" "FAILOVER" "TAKEOVER"];

            /// `CLUSTER RESET`: makes this node, which must be empty if it is a primary, forget the cluster.
            ///
            /// O(number of nodes), since 3.0.0.
            fn cluster_reset() -> () = ["CLUSTER" "RESET"];

            /// `CLUSTER RESET HARD`: as [`cluster_reset`](Commands::cluster_reset), with a new number and epochs from 0
            /// on.
            ///
            /// O(number of nodes), since 3.0.0.
            fn cluster_reset_hard() -> () = ["CLUSTER" "RESET" "HARD"];

            /// `CLUSTER SAVECONFIG`: writes the node's configuration to disk.
            ///
            /// O(1), since 3.0.0.
            fn cluster_saveconfig() -> () = ["CLUSTER" "SAVECONFIG"];

            /// `CLUSTER SET-CONFIG-EPOCH`: gives a node its epoch that knows no other node yet.
            ///
            /// O(1), since 3.0.0.
            fn cluster_set_config_epoch(epoch: i64) -> () = ["CLUSTER" "SET-CONFIG-EPOCH" epoch];

            /// `CLUSTER BUMPEPOCH`: raises the node's epoch if it is not the highest; `BUMPED` or `STILL`, and the
            /// epoch.
            ///
            /// O(1), since 3.0.0.
            fn cluster_bumpepoch() -> String = ["CLUSTER" "BUMPEPOCH"];

            /// `CLUSTERSCAN`: some keys of the cluster, and the cursor for the next call, which is text: `(String,
            /// Vec<String>)`. The first call takes cursor 0, and all keys were seen when 0 comes back.
            ///
            /// O(1) a call, O(number of keys) for all of them, since Valkey 9.1.
            fn clusterscan[T](cursor: impl ToArg) -> T = ["CLUSTERSCAN" cursor];

            /// `CLUSTERSCAN` with options: only some keys, more of them a call.
            ///
            /// O(1) a call, O(number of keys) for all of them, since Valkey 9.1.
            fn clusterscan_with[T](cursor: impl ToArg, options: ClusterscanOptions) -> T
                = ["CLUSTERSCAN" cursor options];
        }
    };
}

pub(super) use table;

options! {
    /// Options of [`cluster_slot_stats_by`](super::Commands::cluster_slot_stats_by).
    pub struct SlotStatsOptions {
        limit {
            /// So many slots at most.
            fn limit(count: i64) = ["LIMIT" count];
        }
        order {
            /// The least first.
            fn asc() = ["ASC"];

            /// The greatest first, as without.
            fn desc() = ["DESC"];
        }
    }

    /// Which slots go where, for [`cluster_migrateslots`](super::Commands::cluster_migrateslots).
    pub struct SlotMigrations {
        migrations {
            /// Ranges of slots, `[(first, last)]`, to a node; several calls, several nodes.
            fn to<S>(node: impl ToArg, ranges: impl ToArgs<S>) += ["SLOTSRANGE" ranges "NODE" node];
        }
    }

    /// Options of [`clusterscan_with`](super::Commands::clusterscan_with).
    pub struct ClusterscanOptions {
        pattern {
            /// Only keys that match.
            fn pattern(pattern: impl ToArg) = ["MATCH" pattern];
        }
        count {
            /// About how many keys a call goes over, 10 unless told.
            fn count(count: i64) = ["COUNT" count];
        }
        kind {
            /// Only keys of a type: `string`, `list`, `set`, `zset`, `hash` or `stream`.
            fn kind(name: impl ToArg) = ["TYPE" name];
        }
        slot {
            /// Only keys of a slot.
            fn slot(slot: u16) = ["SLOT" slot];
        }
    }
}
