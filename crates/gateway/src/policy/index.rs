//! Which policies can match a request by their scope: an index over action, resource and principal, so that a call looks at the
//! few and not at all. Exact: what it returns is what Cedar's own scope check would let through, no more and no less. It must
//! not know conditions or decisions.

use super::model::Action;
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use std::collections::HashMap;

/// An entity with all its ancestors.
#[derive(Debug, Clone)]
pub(crate) struct Lineage {
    /// The entity.
    pub(crate) uid: EntityUid,
    /// Everything that it is in, itself left out.
    pub(crate) ancestors: Vec<EntityUid>,
}

impl Lineage {
    fn is_in(&self, uid: &EntityUid) -> bool {
        self.uid == *uid || self.ancestors.contains(uid)
    }

    /// Every key that a policy which matches this entity may be filed under.
    fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let own = [
            Key::Any,
            Key::Type(self.uid.type_name().clone()),
            Key::Entity(self.uid.clone()),
        ];
        own.into_iter().chain(self.ancestors.iter().cloned().map(Key::Entity))
    }
}

/// What a policy is filed under, for its principal or its resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Any,
    Type(EntityTypeName),
    Entity(EntityUid),
}

/// A policy's scope.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    principal: PrincipalConstraint,
    action: ActionConstraint,
    resource: ResourceConstraint,
}

/// Which parts of a scope a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) principal: bool,
    pub(crate) action: bool,
    pub(crate) resource: bool,
}

impl Match {
    pub(crate) const fn whole(self) -> bool {
        self.principal && self.action && self.resource
    }
}

impl Scope {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            principal: policy.principal_constraint(),
            action: policy.action_constraint(),
            resource: policy.resource_constraint(),
        }
    }

    pub(crate) fn matches(&self, principal: &Lineage, action: &EntityUid, resource: &Lineage) -> Match {
        Match {
            principal: self.matches_principal(principal),
            action: self.matches_action(action),
            resource: self.matches_resource(resource),
        }
    }

    fn matches_principal(&self, principal: &Lineage) -> bool {
        match &self.principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => principal.uid == *uid,
            PrincipalConstraint::In(uid) => principal.is_in(uid),
            PrincipalConstraint::Is(name) => principal.uid.type_name() == name,
            PrincipalConstraint::IsIn(name, uid) => principal.uid.type_name() == name && principal.is_in(uid),
        }
    }

    /// No action of ours is in another, so that `in` a list is to be one of it.
    pub(crate) fn matches_action(&self, action: &EntityUid) -> bool {
        match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => action == uid,
            ActionConstraint::In(uids) => uids.contains(action),
        }
    }

    pub(crate) fn matches_resource(&self, resource: &Lineage) -> bool {
        match &self.resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => resource.uid == *uid,
            ResourceConstraint::In(uid) => resource.is_in(uid),
            ResourceConstraint::Is(name) => resource.uid.type_name() == name,
            ResourceConstraint::IsIn(name, uid) => resource.uid.type_name() == name && resource.is_in(uid),
        }
    }

    fn principal_key(&self) -> Key {
        match &self.principal {
            PrincipalConstraint::Any => Key::Any,
            PrincipalConstraint::Is(name) => Key::Type(name.clone()),
            PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
                Key::Entity(uid.clone())
            }
        }
    }

    fn resource_key(&self) -> Key {
        match &self.resource {
            ResourceConstraint::Any => Key::Any,
            ResourceConstraint::Is(name) => Key::Type(name.clone()),
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
                Key::Entity(uid.clone())
            }
        }
    }

    /// Whether it is for one resource by name.
    pub(crate) const fn names_one(&self) -> bool {
        matches!(self.resource, ResourceConstraint::Eq(_))
    }

    /// The entities named in the scope.
    pub(crate) fn entities(&self) -> Vec<EntityUid> {
        let mut entities = Vec::new();
        if let Key::Entity(uid) = self.principal_key() {
            entities.push(uid);
        }
        match &self.action {
            ActionConstraint::Any => {}
            ActionConstraint::Eq(uid) => entities.push(uid.clone()),
            ActionConstraint::In(uids) => entities.extend(uids.iter().cloned()),
        }
        if let Key::Entity(uid) = self.resource_key() {
            entities.push(uid);
        }
        entities
    }
}

/// All scopes of a policy set, filed. A policy is named by its place in the set.
#[derive(Debug)]
pub(crate) struct ScopeIndex {
    scopes: Vec<Scope>,
    /// By [`Action::ordinal`], then by resource, then by principal.
    by_action: Vec<HashMap<Key, HashMap<Key, Vec<u32>>>>,
}

impl ScopeIndex {
    /// Files the scopes. `actions` are the entities of [`Action::ALL`].
    pub(crate) fn new(scopes: Vec<Scope>, actions: &[EntityUid]) -> Self {
        let mut by_action: Vec<HashMap<Key, HashMap<Key, Vec<u32>>>> = vec![HashMap::new(); actions.len()];
        for (scope, place) in scopes.iter().zip(0_u32..) {
            for (filed, action) in by_action.iter_mut().zip(actions) {
                if scope.matches_action(action) {
                    let by_principal = filed.entry(scope.resource_key()).or_default();
                    by_principal.entry(scope.principal_key()).or_default().push(place);
                }
            }
        }
        Self { scopes, by_action }
    }

    /// The places of all policies whose scope the request meets, in order.
    pub(crate) fn candidates(&self, principal: &Lineage, action: Action, resource: &Lineage) -> Vec<u32> {
        let Some(filed) = self.by_action.get(action.ordinal()) else {
            return Vec::new();
        };
        let principal_keys: Vec<Key> = principal.keys().collect();
        let mut found: Vec<u32> = resource
            .keys()
            .filter_map(|key| filed.get(&key))
            .flat_map(|by_principal| principal_keys.iter().filter_map(|key| by_principal.get(key)))
            .flatten()
            .copied()
            // The key says most of it; `is A in B` and `==` with something that is only an ancestor say the rest.
            .filter(|place| {
                self.scope(*place)
                    .is_some_and(|scope| scope.matches_principal(principal) && scope.matches_resource(resource))
            })
            .collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn scope(&self, place: u32) -> Option<&Scope> {
        self.scopes.get(usize::try_from(place).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(uid: &str, ancestors: &[&str]) -> Lineage {
        Lineage {
            uid: uid.parse().unwrap(),
            ancestors: ancestors.iter().map(|uid| uid.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn each_form_of_scope_is_found_and_no_other() {
        let all = [
            "principal, action, resource",
            "principal == User::\"ana\", action, resource",
            "principal in User::\"ana\", action, resource",
            "principal in Group::\"clerks\", action, resource",
            "principal == Group::\"clerks\", action, resource",
            "principal is User, action, resource",
            "principal is Agent, action, resource",
            "principal is User in Group::\"clerks\", action, resource",
            "principal is Agent in Group::\"clerks\", action, resource",
            "principal, action == Action::\"tools/call\", resource",
            "principal, action == Action::\"list\", resource",
            "principal, action in [Action::\"list\", Action::\"tools/call\"], resource",
            "principal, action in [Action::\"list\"], resource",
            "principal, action, resource == Tool::\"bank/pay\"",
            "principal, action, resource == Server::\"bank\"",
            "principal, action, resource in Server::\"bank\"",
            "principal, action, resource in Server::\"shop\"",
            "principal, action, resource is Tool in Server::\"bank\"",
            "principal, action, resource is Prompt in Server::\"bank\"",
            "principal, action, resource is Prompt",
        ];
        let scopes = all
            .iter()
            .map(|scope| Scope::of(&Policy::parse(None, format!("permit({scope});")).unwrap()))
            .collect();
        let actions: Vec<EntityUid> = Action::ALL
            .iter()
            .map(|action| format!("Action::\"{action}\"").parse().unwrap())
            .collect();
        let index = ScopeIndex::new(scopes, &actions);
        let found = index.candidates(
            &lineage("User::\"ana\"", &["Group::\"clerks\"", "Group::\"staff\""]),
            Action::CallTool,
            &lineage("Tool::\"bank/pay\"", &["Server::\"bank\""]),
        );
        assert_eq!(found, [0, 1, 2, 3, 5, 7, 9, 11, 13, 15, 17]);
    }
}
