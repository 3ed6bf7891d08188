//! Whose task an id is. A task id is a handle, never a credential: each `tasks/*` call is checked against the principal that
//! made the task (PROTOCOL 3.6, requirement 48).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Tasks remembered at one time; the oldest is forgotten first.
const TASKS_MAX: usize = 100_000;

/// Where a task runs and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) principal: String,
    pub(crate) upstream: Arc<str>,
}

/// The tasks that passed through.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    owners: HashMap<Arc<str>, Owner>,
    order: VecDeque<Arc<str>>,
}

impl Tasks {
    /// Remembers who made a task.
    pub(crate) fn made(&self, id: &str, principal: &str, upstream: &Arc<str>) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let id: Arc<str> = id.into();
        let owner = Owner {
            principal: principal.to_owned(),
            upstream: Arc::clone(upstream),
        };
        // An id that comes twice stays with its first owner: a server that reuses ids must not hand a task over.
        if table.owners.contains_key(&id) {
            return;
        }
        if table.order.len() >= TASKS_MAX
            && let Some(oldest) = table.order.pop_front()
        {
            table.owners.remove(&oldest);
        }
        table.order.push_back(Arc::clone(&id));
        table.owners.insert(id, owner);
    }

    /// The upstream of `principal`'s task `id`; nobody else learns that there is one.
    pub(crate) fn owner(&self, id: &str, principal: &str) -> Option<Arc<str>> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .owners
            .get(id)
            .filter(|owner| owner.principal == principal)
            .map(|owner| Arc::clone(&owner.upstream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_its_makers() {
        let tasks = Tasks::default();
        tasks.made("t", "user:ana", &"bank".into());
        tasks.made("t", "user:eve", &"evil".into());
        assert_eq!(tasks.owner("t", "user:ana").as_deref(), Some("bank"));
        assert_eq!(tasks.owner("t", "user:eve"), None);
        assert_eq!(tasks.owner("u", "user:ana"), None);
    }
}
