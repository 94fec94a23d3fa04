//! Subscribers in the order in which they came.

use super::SubscriberId;

/// Found by their numbers, each of which is larger than those that came before. One that has left is an empty place
/// until there are many of these, so that leaving takes no longer the more there are.
#[derive(Debug)]
pub(super) struct Places<T> {
    all: Vec<(SubscriberId, Option<T>)>,
    empty: usize,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            empty: 0,
        }
    }
}

impl<T> Places<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.all.len() == self.empty
    }

    fn place(&self, id: SubscriberId) -> Result<usize, usize> {
        self.all.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// Takes somebody in, behind all who came before it.
    pub(super) fn add(&mut self, id: SubscriberId, one: T) {
        match self.place(id) {
            Ok(at) => {
                let place = &mut self.all[at].1;
                self.empty -= usize::from(place.is_none());
                *place = Some(one);
            }
            Err(at) => {
                // Most names are of one subscriber.
                if self.all.is_empty() {
                    self.all.reserve_exact(1);
                }
                self.all.insert(at, (id, Some(one)));
            }
        }
    }

    pub(super) fn get_mut(&mut self, id: SubscriberId) -> Option<&mut T> {
        let at = self.place(id).ok()?;
        self.all[at].1.as_mut()
    }

    pub(super) fn remove(&mut self, id: SubscriberId) -> Option<T> {
        let at = self.place(id).ok()?;
        let one = self.all[at].1.take()?;
        self.empty += 1;
        if self.empty * 2 > self.all.len() {
            self.all.retain(|(_, one)| one.is_some());
            self.all.shrink_to(self.all.len() * 2);
            self.empty = 0;
        }
        Some(one)
    }

    /// Takes out those at the front for whom `goes` holds, oldest first.
    pub(super) fn take_front(&mut self, goes: impl Fn(&T) -> bool) -> Vec<(SubscriberId, T)> {
        let count = self.front(goes);
        if count == self.all.len() {
            self.empty = 0;
            let all = std::mem::take(&mut self.all);
            return present(all).collect();
        }
        let gone: Vec<_> = self.all.drain(..count).collect();
        self.empty -= gone.iter().filter(|(_, one)| one.is_none()).count();
        present(gone).collect()
    }

    /// Those at the front for whom `is_one` holds.
    pub(super) fn front_mut(
        &mut self,
        is_one: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = &mut T> {
        let count = self.front(is_one);
        let front = self.all.iter_mut().take(count);
        front.filter_map(|(_, one)| one.as_mut())
    }

    fn front(&self, is_one: impl Fn(&T) -> bool) -> usize {
        let other =
            |(_, one): &(SubscriberId, Option<T>)| one.as_ref().is_some_and(|one| !is_one(one));
        self.all.iter().position(other).unwrap_or(self.all.len())
    }

    /// The one that came last.
    pub(super) fn last(&self) -> Option<&T> {
        self.all.iter().rev().find_map(|(_, one)| one.as_ref())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriberId, &T)> {
        self.all
            .iter()
            .filter_map(|(id, one)| Some((*id, one.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SubscriberId, &mut T)> {
        self.all
            .iter_mut()
            .filter_map(|(id, one)| Some((*id, one.as_mut()?)))
    }
}

fn present<T>(places: Vec<(SubscriberId, Option<T>)>) -> impl Iterator<Item = (SubscriberId, T)> {
    places.into_iter().filter_map(|(id, one)| Some((id, one?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add,
        Remove(u64),
        /// Those below this number.
        TakeFront(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Add),
            4 => (0..40_u64).prop_map(Step::Remove),
            1 => (0..40_u64).prop_map(Step::TakeFront),
        ]
    }

    proptest! {
        #[test]
        fn places_hold_what_a_sorted_map_holds(steps in vec(any_step(), 0..80)) {
            let (mut places, mut map) = (Places::default(), BTreeMap::new());
            let mut newest = 0;
            for step in steps {
                match step {
                    Step::Add => {
                        newest += 1;
                        places.add(SubscriberId(newest), newest);
                        map.insert(newest, newest);
                    }
                    Step::Remove(id) => {
                        prop_assert_eq!(places.remove(SubscriberId(id)), map.remove(&id));
                    }
                    Step::TakeFront(below) => {
                        let rest = map.split_off(&below);
                        let taken = places.take_front(|one| *one < below);
                        prop_assert!(taken.into_iter().map(|(id, _)| id.0).eq(map.into_keys()));
                        map = rest;
                    }
                }
                prop_assert_eq!(places.is_empty(), map.is_empty());
                prop_assert_eq!(places.last(), map.values().last());
                prop_assert!(places.iter().map(|(id, one)| (id.0, *one)).eq(map.iter().map(|(id, one)| (*id, *one))));
                prop_assert!(places.all.len() <= map.len() * 2 + 1, "few places are empty");
            }
        }
    }
}
