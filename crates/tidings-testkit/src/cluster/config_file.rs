//! What a node writes down of its cluster, and reads when it is started again.

use std::collections::BTreeMap;
use std::{fs, io};

use super::node::ClusterNode;

/// As every [`ClusterBuilder`](super::ClusterBuilder) calls it.
pub(super) const CONFIG_FILE: &str = "nodes.conf";

const SHARD: &str = "shard-id=";

impl ClusterNode {
    /// As [`Server::restart`](crate::Server::restart), which leaves it the file with what it knew of the cluster.
    ///
    /// Valkey 8.1.1 and others of its time may have written into it that a replica is of another
    /// shard than its primary, by which they then take the file for corrupted and do not start. Newer ones
    /// put the replica into its primary's shard; here that is done for all.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        let mended = self.mend_config_file();
        mended.unwrap_or_else(|error| panic!("{CONFIG_FILE} of {self}: {error}"));
        (**self).restart();
    }

    fn mend_config_file(&self) -> io::Result<()> {
        let path = self.file(CONFIG_FILE);
        let text = fs::read_to_string(&path)?;
        let mended = in_shards_of_primaries(&text);
        if mended != text {
            fs::write(&path, mended)?;
        }
        Ok(())
    }
}

/// Each replica is of its primary's shard.
fn in_shards_of_primaries(text: &str) -> String {
    let shards: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| Some((line.split(' ').next()?, shard_of(line)?)))
        .collect();
    let mended = text.split_inclusive('\n').map(|line| {
        let primary = line.split(' ').nth(3).and_then(|id| shards.get(id));
        match (shard_of(line), primary) {
            (Some(shard), Some(primary)) => {
                line.replace(&format!("{SHARD}{shard}"), &format!("{SHARD}{primary}"))
            }
            _ => line.to_owned(),
        }
    });
    mended.collect()
}

fn shard_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(SHARD)?;
    rest.split([',', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_put_into_the_shard_of_its_primary_and_nothing_else_is_changed() {
        let text = "\
            aa 127.0.0.1:1@11,,tls-port=0,shard-id=a1 slave bb 0 17 3 connected\n\
            bb 127.0.0.1:2@12,,tls-port=0,shard-id=b1 myself,master - 0 17 3 connected 0-9\n\
            cc 127.0.0.1:3@13,,tls-port=0,shard-id=b1 slave bb 0 17 3 disconnected\n\
            vars currentEpoch 7 lastVoteEpoch 6\n";
        let mended = in_shards_of_primaries(text);
        assert_eq!(mended, text.replace("shard-id=a1", "shard-id=b1"));
        assert_eq!(in_shards_of_primaries(&mended), mended);
    }

    #[test]
    fn a_file_without_shards_stays_as_it_is() {
        let text = "aa 127.0.0.1:1@11 slave bb 0 17 3 connected\nbb 127.0.0.1:2@12 master - 0 0\n";
        assert_eq!(in_shards_of_primaries(text), text);
    }
}
