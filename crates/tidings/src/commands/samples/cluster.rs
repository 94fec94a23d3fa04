//! Calls of the methods of this group.

use crate::options::{ClusterscanOptions, SlotMigrations, SlotStatsOptions};

super::samples! {
    cluster_info() => "CLUSTER INFO";
    cluster_myid() => "CLUSTER MYID";
    cluster_myshardid() => "CLUSTER MYSHARDID";
    cluster_nodes() => "CLUSTER NODES";
    cluster_shards<()>() => "CLUSTER SHARDS";
    cluster_slots<()>() => "CLUSTER SLOTS";
    cluster_links<()>() => "CLUSTER LINKS";
    cluster_replicas("node") => "CLUSTER REPLICAS node";
    cluster_slaves("node") => "CLUSTER SLAVES node";
    cluster_keyslot("a") => "CLUSTER KEYSLOT a";
    cluster_countkeysinslot(7) => "CLUSTER COUNTKEYSINSLOT 7";
    cluster_getkeysinslot<Vec<String>>(7, 10) => "CLUSTER GETKEYSINSLOT 7 10";
    cluster_count_failure_reports("node") => "CLUSTER COUNT-FAILURE-REPORTS node";
    cluster_slot_stats_range<()>(0, 7) => "CLUSTER SLOT-STATS SLOTSRANGE 0 7";
    cluster_slot_stats_by<()>(
        "key-count", SlotStatsOptions::new().asc().limit(3)
    ) => "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 3 ASC";
    cluster_meet("127.0.0.1", 6379) => "CLUSTER MEET 127.0.0.1 6379";
    cluster_meet_at("127.0.0.1", 6379, 16380) => "CLUSTER MEET 127.0.0.1 6379 16380";
    cluster_forget("node") => "CLUSTER FORGET node";
    cluster_addslots([1, 2]) => "CLUSTER ADDSLOTS 1 2";
    cluster_addslotsrange([(1, 2), (5, 6)]) => "CLUSTER ADDSLOTSRANGE 1 2 5 6";
    cluster_delslots(1) => "CLUSTER DELSLOTS 1";
    cluster_delslotsrange([(1, 2)]) => "CLUSTER DELSLOTSRANGE 1 2";
    cluster_flushslots() => "CLUSTER FLUSHSLOTS";
    cluster_flushslot(7) => "CLUSTER FLUSHSLOT 7";
    cluster_flushslot_async(7) => "CLUSTER FLUSHSLOT 7 ASYNC";
    cluster_flushslot_sync(7) => "CLUSTER FLUSHSLOT 7 SYNC";
    cluster_setslot_importing(7, "node") => "CLUSTER SETSLOT 7 IMPORTING node";
    cluster_setslot_migrating(7, "node") => "CLUSTER SETSLOT 7 MIGRATING node";
    cluster_setslot_node(7, "node") => "CLUSTER SETSLOT 7 NODE node";
    cluster_setslot_stable(7) => "CLUSTER SETSLOT 7 STABLE";
    cluster_migrateslots(
        SlotMigrations::new().to("node", [(1, 2)]).to("other", [(5, 6), (8, 9)])
    ) => "CLUSTER MIGRATESLOTS SLOTSRANGE 1 2 NODE node SLOTSRANGE 5 6 8 9 NODE other";
    cluster_getslotmigrations<()>() => "CLUSTER GETSLOTMIGRATIONS";
    cluster_cancelslotmigrations() => "CLUSTER CANCELSLOTMIGRATIONS";
    cluster_replicate("node") => "CLUSTER REPLICATE node";
    cluster_replicate_no_one() => "CLUSTER REPLICATE NO ONE";
    cluster_failover() => "CLUSTER FAILOVER";
    cluster_failover_force() => "CLUSTER FAILOVER FORCE";
    cluster_failover_takeover() => "CLUSTER FAILOVER TAKEOVER";
    cluster_reset() => "CLUSTER RESET";
    cluster_reset_hard() => "CLUSTER RESET HARD";
    cluster_saveconfig() => "CLUSTER SAVECONFIG";
    cluster_set_config_epoch(3) => "CLUSTER SET-CONFIG-EPOCH 3";
    cluster_bumpepoch() => "CLUSTER BUMPEPOCH";
    clusterscan<(String, Vec<String>)>(0) => "CLUSTERSCAN 0";
    clusterscan_with<(String, Vec<String>)>(
        "0", ClusterscanOptions::new().slot(7).count(10)
    ) => "CLUSTERSCAN 0 COUNT 10 SLOT 7";
}
