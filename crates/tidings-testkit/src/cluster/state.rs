//! Whether all nodes see the same cluster, and a whole one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::node::ClusterNode;
use super::view::View;
use super::{Cluster, SLOTS};
use crate::wait::agreed;

/// What all nodes must see alike: who follows whom, and whose the slots are.
type Picture = BTreeMap<String, (Option<String>, Vec<RangeInclusive<u16>>)>;

/// Two nodes that both have heard of a new owner are not of two minds for that long.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cluster {
    /// Waits until all nodes that run agree: who is in the cluster and who has failed, who is whose
    /// replica, whose each slot is; that replicas are in sync; and, if every slot has an owner
    /// that runs, that `cluster_state` is `ok`.
    ///
    /// Who is down, stands still or is [cut off](Self::cut_off) is not asked, and must be taken for
    /// failed by the others.
    ///
    /// # Panics
    ///
    /// If they do not within a minute.
    #[track_caller]
    pub fn await_agreement(&self) {
        self.await_that(|| Ok(()));
    }

    /// The same, and something else besides.
    #[track_caller]
    pub(super) fn await_that(&self, mut also: impl FnMut() -> Result<(), String>) {
        let mut overruled_since = None;
        let result = agreed(|| {
            let state = also().and_then(|()| self.state());
            if state.is_err() {
                self.mend(&mut overruled_since);
            }
            state
        });
        result.unwrap_or_else(|problem| panic!("{}: {problem}", self.binary()));
    }

    /// A replica that was elected less than two node timeouts ago counts the votes that it got then
    /// again when its primary fails (seen on Redis 7.0.15). It takes the slots with the old epoch, which
    /// the others do not heed as the failed primary's is newer, and nobody ever changes that. An epoch
    /// that is new does.
    fn mend(&self, since: &mut Option<Instant>) {
        let Some(overruled) = self.overruled_by_the_failed() else {
            *since = None;
            return;
        };
        if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            let _ = overruled.try_admin(["CLUSTER", "BUMPEPOCH"]);
            *since = None;
        }
    }

    /// A primary whose slots are, for another node, those of one that has failed and whose epoch is
    /// newer.
    fn overruled_by_the_failed(&self) -> Option<Arc<ClusterNode>> {
        let views: Vec<_> = self.views().collect();
        let overruled = views.iter().find(|(_, view)| {
            let Some(myself) = view.myself() else {
                return false;
            };
            let Some(slot) = myself.slots.first().map(|slots| *slots.start()) else {
                return false;
            };
            views.iter().any(|(_, other)| {
                other.owner_of(slot).is_some_and(|(epoch, id)| {
                    epoch > myself.epoch && other.members.get(id).is_some_and(|owner| owner.failed)
                })
            })
        });
        overruled.map(|(node, _)| Arc::clone(node))
    }

    /// An error says what they do not agree on.
    pub(super) fn state(&self) -> Result<(), String> {
        let nodes = self.nodes();
        let mut agreed: Option<(View, Picture)> = None;
        for node in nodes.iter().filter(|node| node.is_live()) {
            let view = node.view()?;
            knows_all(node, &view, &nodes)?;
            is_served(node, &view)?;
            is_in_sync(node, &view, &nodes)?;
            let picture = picture(&view, &nodes);
            match &agreed {
                None => agreed = Some((view, picture)),
                Some((other, same)) if *same != picture => {
                    return Err(format!(
                        "two nodes see different clusters:\n{}\n{}",
                        other.text, view.text
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Nobody is missing or too much, and those who run are those who answer.
fn knows_all(node: &ClusterNode, view: &View, nodes: &[Arc<ClusterNode>]) -> Result<(), String> {
    for other in nodes {
        let Some(known) = view.members.get(other.id()) else {
            return Err(format!("{node} does not know {other}"));
        };
        let is_up = other.is_live();
        if known.failed == is_up {
            let so = if is_up { "failed" } else { "well" };
            return Err(format!("{node} takes {other} for {so}"));
        }
        if is_up && (known.is_new || !known.linked) {
            return Err(format!("{node} has no link to {other}"));
        }
    }
    if view.members.len() > nodes.len() {
        return Err(format!("{node} knows more nodes than there are"));
    }
    Ok(())
}

fn is_served(node: &ClusterNode, view: &View) -> Result<(), String> {
    let state = node.field(["CLUSTER", "INFO"], "cluster_state")?;
    if view.covers_all() && state != "ok" {
        return Err(format!("{node} calls the cluster's state {state}"));
    }
    Ok(())
}

/// A replica holds what its primary holds, if that one runs.
fn is_in_sync(node: &ClusterNode, view: &View, nodes: &[Arc<ClusterNode>]) -> Result<(), String> {
    let primary = view.myself().and_then(|myself| myself.replica_of.clone());
    let Some(primary) = nodes
        .iter()
        .find(|other| Some(other.id()) == primary.as_deref())
    else {
        return Ok(());
    };
    if !primary.is_live() {
        return Ok(());
    }
    let port = node.field(["INFO", "replication"], "master_port")?;
    let link = node.field(["INFO", "replication"], "master_link_status")?;
    if port != primary.port().to_string() || link != "up" {
        return Err(format!("{node} is not in sync with {primary}"));
    }
    Ok(())
}

fn picture(view: &View, nodes: &[Arc<ClusterNode>]) -> Picture {
    let runs = |id: &str| nodes.iter().any(|node| node.id() == id && node.is_live());
    let members = view.members.iter();
    members
        .map(|(id, member)| {
            // What the others last heard of one that is down may differ.
            let primary = member.replica_of.clone().filter(|_| runs(id));
            (id.clone(), (primary, member.slots.clone()))
        })
        .collect()
}

impl Cluster {
    /// Waits until all agree, the slots of a range are this node's, and all have heard that from itself. Who has not would take its
    /// word for a new one later, when the slots may be another's already, whose epoch need not be newer.
    #[track_caller]
    pub(super) fn await_owner(&self, slots: &RangeInclusive<u16>, owner: &ClusterNode) {
        self.await_that(|| {
            let view = owner.view()?;
            for slot in slots.clone() {
                if view.owner_of(slot).is_none_or(|(_, id)| id != owner.id()) {
                    return Err(format!("slot {slot} is not {owner}'s"));
                }
            }
            let epoch = view.myself().map(|myself| myself.epoch);
            for (node, view) in self.views() {
                let known = view.members.get(owner.id());
                if known.map(|owner| owner.epoch) != epoch {
                    return Err(format!("{node} has not heard the newest of {owner}"));
                }
            }
            Ok(())
        });
    }

    #[track_caller]
    pub(super) fn check_slots(slots: &RangeInclusive<u16>) {
        assert!(
            !slots.is_empty() && *slots.end() < SLOTS,
            "slots {slots:?}: there are 0 to {}",
            SLOTS - 1
        );
    }
}
