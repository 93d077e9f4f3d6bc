//! The initial state of the organization, generated from the seed.

use tokio::sync::mpsc::UnboundedSender;

use crate::endpoints::rent;
use crate::faults::fault::ArmedFault;
use crate::numbers::plan;
use crate::options::Options;
use crate::organization::{Group, Key, User};
use crate::random::Random;
use crate::rate_limit::RateLimiter;
use crate::request_log::RequestLog;
use crate::state::State;
use crate::webhooks::queue::QueuedEvent;

/// First name, last name, and whether the user may make calls. The first one owns the API key.
const PEOPLE: [(&str, &str, bool); 6] = [
    ("Olivia", "Key", true),
    ("Alice", "Berger", true),
    ("Bruno", "Costa", true),
    ("Chloe", "Durand", true),
    ("Dmitri", "Silent", false),
    ("Emma", "Quiet", false),
];

/// Generates the organization: its key, users, groups, and the numbers that the options ask for.
pub(crate) fn seed(options: Options, outbox: UnboundedSender<QueuedEvent>) -> State {
    let mut random = Random::new(options.seed);
    let organization_id = random.id("orga_", 43);
    let text = format!("api_{}.{}", random.id("", 22), random.id("", 22));
    let created = options.clock.now();
    let users: Vec<User> = PEOPLE
        .iter()
        .map(|(first, last, can_call)| User::new(&mut random, first, last, *can_call, created))
        .collect();
    let key = Key {
        id: text.split('.').next().unwrap_or_default().to_owned(),
        text,
        oauth_token: random.id("oauth_", 40),
        owner: users[0].id.clone(),
    };
    let members = |range: std::ops::Range<usize>| users[range].iter().map(|user| user.id.clone()).collect();
    let groups = vec![
        Group {
            id: random.id("group_", 22),
            name: "Sales".into(),
            members: members(1..3),
        },
        Group {
            id: random.id("group_", 22),
            name: "Support".into(),
            members: members(2..5),
        },
        Group {
            id: random.id("group_", 22),
            name: "Empty".into(),
            members: Vec::new(),
        },
    ];
    let mut state = State {
        settings: options.settings.clone(),
        organization_id,
        key,
        users,
        groups,
        numbers: Vec::new(),
        subscriptions: Vec::new(),
        events: Vec::new(),
        faults: options.faults.iter().cloned().map(ArmedFault::new).collect(),
        requests: RequestLog::default(),
        attempts: Vec::new(),
        rate_limiter: RateLimiter::default(),
        random,
        ephemeral: Random::new(!options.seed),
        outbox,
        options,
    };
    rent_numbers(&mut state);
    state
}

/// Restores the initial state. Deliveries in progress are dropped.
pub(crate) fn reset(state: &mut State) {
    *state = seed(state.options.clone(), state.outbox.clone());
}

/// Rents the numbers that the organization holds at the start, as a person in Close.
fn rent_numbers(state: &mut State) {
    let actor = state.person();
    for index in 0..state.options.numbers {
        let country = ["DE", "US", "GB", "FR"][index as usize % 4];
        let State { random, numbers, .. } = state;
        let taken = |number: &str| numbers.iter().any(|known| known.data.number == number);
        let Some(found) = plan::find(random, country, "", Some("local"), taken) else {
            continue;
        };
        let number = rent::rented_by_person(state, country, &found);
        state.add_number(number, Some(&actor));
    }
}
