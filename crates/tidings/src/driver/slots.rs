//! Where answers wait for those who asked.

use std::mem;
use std::num::NonZeroU64;
use std::task::{Context, Poll, Waker};

use super::body::Answer;
use crate::error::Result;

/// So many slots are kept for the next rush.
const KEPT: usize = 1024;

/// The slots of a connection, used again and again: a request costs no allocation, and what one read brought is
/// handed over under one lock.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Of the next ticket. No two are the same, so that who comes late meets nobody else's answer.
    next: NonZeroU64,
}

#[derive(Debug)]
struct Slot {
    /// Of the ticket that it belongs to.
    serial: NonZeroU64,
    state: SlotState,
}

#[derive(Debug)]
pub(crate) enum SlotState {
    Free,
    Waiting(Waker),
    Answered(Result<Answer>),
}

/// What a request and its requester have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    serial: NonZeroU64,
    index: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            next: NonZeroU64::MIN,
        }
    }
}

impl Slots {
    /// A slot for one who waits.
    #[inline]
    pub(crate) fn open(&mut self, waker: Waker) -> Ticket {
        let serial = self.next;
        self.next = serial.saturating_add(1);
        let slot = Slot {
            serial,
            state: SlotState::Waiting(waker),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        Ticket { serial, index }
    }

    #[inline]
    fn of(&mut self, ticket: Ticket) -> Option<&mut SlotState> {
        let slot = self.slots.get_mut(ticket.index as usize)?;
        (slot.serial == ticket.serial && !matches!(slot.state, SlotState::Free))
            .then_some(&mut slot.state)
    }

    /// Whether somebody waits for this answer, or is to fetch it.
    #[inline]
    pub(crate) fn is_open(&self, ticket: Ticket) -> bool {
        let slot = self.slots.get(ticket.index as usize);
        slot.is_some_and(|slot| {
            slot.serial == ticket.serial && !matches!(slot.state, SlotState::Free)
        })
    }

    /// Puts an answer in, in the place of an earlier one; gives whom to wake.
    #[inline]
    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Result<Answer>) -> Option<Waker> {
        let state = self.of(ticket)?;
        match mem::replace(state, SlotState::Answered(answer)) {
            SlotState::Waiting(waker) => Some(waker),
            SlotState::Answered(_) | SlotState::Free => None,
        }
    }

    /// Fetches the answer. While there is none, gives the waker that this one takes the place of: to be dropped
    /// without a lock, since nobody knows what its end brings with it.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        ticket: Ticket,
        cx: &Context<'_>,
    ) -> Poll<(Option<Result<Answer>>, Option<Waker>)> {
        match self.of(ticket) {
            Some(SlotState::Waiting(waker)) if waker.will_wake(cx.waker()) => Poll::Pending,
            Some(SlotState::Waiting(waker)) => {
                let old = mem::replace(waker, cx.waker().clone());
                Poll::Ready((None, Some(old)))
            }
            _ => match self.close(ticket) {
                SlotState::Answered(answer) => Poll::Ready((Some(answer), None)),
                SlotState::Waiting(_) | SlotState::Free => Poll::Pending,
            },
        }
    }

    /// Nobody waits for this answer any more. What was in the slot is to be dropped without a lock.
    #[inline]
    pub(crate) fn close(&mut self, ticket: Ticket) -> SlotState {
        let Some(state) = self.of(ticket) else {
            return SlotState::Free;
        };
        let state = mem::replace(state, SlotState::Free);
        self.free.push(ticket.index);
        if self.free.len() == self.slots.len() && self.slots.len() > KEPT {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn noop() -> Waker {
        Waker::noop().clone()
    }

    fn answer() -> Result<Answer> {
        Err(Error::closed("an answer"))
    }

    fn fetch(slots: &mut Slots, ticket: Ticket) -> Option<Result<Answer>> {
        match slots.poll(ticket, &Context::from_waker(Waker::noop())) {
            Poll::Ready((answer, _)) => answer,
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_answer_reaches_who_has_the_ticket_once() {
        let mut slots = Slots::default();
        let ticket = slots.open(noop());
        assert!(fetch(&mut slots, ticket).is_none());
        assert!(slots.answer(ticket, answer()).is_some());
        assert!(slots.is_open(ticket));
        assert!(fetch(&mut slots, ticket).is_some());
        assert!(!slots.is_open(ticket));
        assert!(fetch(&mut slots, ticket).is_none());
    }

    #[test]
    fn who_comes_late_meets_nobody_elses_answer() {
        let mut slots = Slots::default();
        let old = slots.open(noop());
        assert!(matches!(slots.close(old), SlotState::Waiting(_)));
        let new = slots.open(noop());
        assert_eq!(new.index, old.index);
        assert!(slots.answer(old, answer()).is_none());
        assert!(fetch(&mut slots, new).is_none());
        assert!(fetch(&mut slots, old).is_none());
        assert!(matches!(slots.close(old), SlotState::Free));
        assert!(slots.is_open(new));
    }

    #[test]
    fn the_room_of_a_rush_is_given_back_and_its_tickets_stay_worthless() {
        let mut slots = Slots::default();
        let tickets: Vec<Ticket> = (0..=KEPT).map(|_| slots.open(noop())).collect();
        for ticket in &tickets {
            slots.close(*ticket);
        }
        assert_eq!(slots.slots.capacity(), 0);
        let new = slots.open(noop());
        assert!(slots.answer(tickets[0], answer()).is_none());
        assert!(slots.is_open(new));
    }
}
