//! The plans of the operator, and which of them holds for whom.

use std::{collections::HashMap, sync::Arc};

use gateway_domain::{PlanName, Principal, plan::Plan};

/// All plans. There is always one for those whose plan nobody knows.
#[derive(Clone, Debug)]
pub struct Plans {
    by_name: HashMap<PlanName, Arc<Plan>>,
    fallback: Arc<Plan>,
}

/// The plan that holds for a connection.
#[derive(Clone, Debug)]
pub struct Holding {
    /// With the token's own limits laid over it.
    pub plan: Arc<Plan>,
    /// The name that the token used, where no plan has it.
    pub unknown: Option<PlanName>,
}

impl Plans {
    /// The plans, and the one that holds where a token names another or none.
    pub fn new(plans: impl IntoIterator<Item = Plan>, fallback: Plan) -> Self {
        let by_name = plans.into_iter().map(|plan| (plan.name.clone(), Arc::new(plan))).collect();
        Self { by_name, fallback: Arc::new(fallback) }
    }

    /// The plan that the token names, else the endpoint's, else the default; never wider than the token's own limits.
    pub fn holding(&self, principal: &Principal, of_endpoint: Option<&PlanName>) -> Holding {
        let named = principal.plan.as_ref().map(|name| (name, self.by_name.get(name)));
        let unknown = named.and_then(|(name, plan)| plan.is_none().then(|| name.clone()));
        let plan = match named {
            Some((_, plan)) => plan,
            None => of_endpoint.and_then(|name| self.by_name.get(name)),
        };
        let plan = plan.unwrap_or(&self.fallback);
        let own = &principal.own_limits;
        let plan = if *own == Default::default() { Arc::clone(plan) } else { Arc::new(plan.tightened(own)) };
        Holding { plan, unknown }
    }
}
