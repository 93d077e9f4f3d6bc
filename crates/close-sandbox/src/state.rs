//! The state of the one organization: who and what is in it, all made from the seed. Knows no HTTP.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::Options;
use crate::endpoints::groups::Group;
use crate::endpoints::rent;
use crate::endpoints::users::User;
use crate::endpoints::webhooks::Subscription;
use crate::events::Event;
use crate::faults::fault::Armed;
use crate::numbers::number::Number;
use crate::numbers::plan;
use crate::rate_limit::Windows;
use crate::request_log::Record;
use crate::settings::Settings;
use crate::webhooks::delivery::{Attempt, Emitted};

/// Everything that the simulator remembers.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) organization_id: String,
    pub(crate) key: Key,
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) events: Vec<Event>,
    pub(crate) faults: Vec<Armed>,
    pub(crate) requests: Vec<Record>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) windows: Windows,
    /// What numbers, people and keys are made from: the same after the same rents.
    pub(crate) random: Random,
    /// What passes by: ids of requests and events, the order of a shuffled list.
    pub(crate) noise: Random,
    pub(crate) outbox: UnboundedSender<Emitted>,
    options: Options,
}

/// What authenticates: an API key, and an OAuth token of the same user.
pub(crate) struct Key {
    pub(crate) text: String,
    /// The part of the key that events name.
    pub(crate) id: String,
    pub(crate) oauth_token: String,
    pub(crate) owner: String,
}

/// Who does something, for the event that tells of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor {
    pub(crate) user_id: Option<String>,
    pub(crate) api_key_id: Option<String>,
    pub(crate) request_id: Option<String>,
    /// Method and path, where the actor came through the API.
    pub(crate) request: Option<(String, String)>,
}

const PEOPLE: [(&str, &str, bool); 6] = [
    ("Olivia", "Key", true),
    ("Alice", "Berger", true),
    ("Bruno", "Costa", true),
    ("Chloe", "Durand", true),
    ("Dmitri", "Silent", false),
    ("Emma", "Quiet", false),
];

impl World {
    pub(crate) fn new(options: Options, outbox: UnboundedSender<Emitted>) -> Self {
        let mut random = Random::new(options.seed);
        let organization_id = random.id("orga_", 43);
        let text = format!("api_{}.{}", random.id("", 22), random.id("", 22));
        let born = options.clock.now();
        let users: Vec<User> = PEOPLE
            .iter()
            .map(|(first, last, can_call)| User::new(&mut random, first, last, *can_call, born))
            .collect();
        let key = Key {
            id: text.split('.').next().unwrap_or_default().to_owned(),
            text,
            oauth_token: random.id("oauth_", 40),
            owner: users[0].id.clone(),
        };
        let members =
            |range: std::ops::Range<usize>| users[range].iter().map(|user| user.id.clone()).collect();
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
        let mut world = Self {
            settings: options.settings.clone(),
            organization_id,
            key,
            users,
            groups,
            numbers: Vec::new(),
            subscriptions: Vec::new(),
            events: Vec::new(),
            faults: options.faults.iter().cloned().map(Armed::new).collect(),
            requests: Vec::new(),
            attempts: Vec::new(),
            windows: Windows::default(),
            random,
            noise: Random::new(!options.seed),
            outbox,
            options,
        };
        world.furnish();
        world
    }

    /// As it was at the start; deliveries under way are forgotten.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.options.clone(), self.outbox.clone());
    }

    pub(crate) fn now(&self) -> Timestamp {
        let now = self.options.clock.now();
        now.checked_add(self.settings.clock_shift).unwrap_or(now)
    }

    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// A person who works in Close itself.
    pub(crate) fn person(&mut self) -> Actor {
        Actor {
            user_id: Some(self.key.owner.clone()),
            request_id: Some(self.noise.id("req_", 22)),
            ..Actor::default()
        }
    }

    /// What tests and the tour need to know.
    pub(crate) fn describe(&self) -> Value {
        let users: Vec<Value> = self
            .users
            .iter()
            .map(|user| json!({"id": user.id, "name": user.name(), "email": user.email, "can_call": user.can_call}))
            .collect();
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|group| json!({"id": group.id, "name": group.name, "members": group.members}))
            .collect();
        json!({
            "organization_id": self.organization_id,
            "api_key": self.key.text,
            "api_key_id": self.key.id,
            "oauth_token": self.key.oauth_token,
            "owner": self.key.owner,
            "users": users,
            "groups": groups,
        })
    }

    /// Numbers that people rented before anybody looked.
    fn furnish(&mut self) {
        let actor = self.person();
        for index in 0..self.options.numbers {
            let country = ["DE", "US", "GB", "FR"][index as usize % 4];
            let taken = |number: &str| self.numbers.iter().any(|known| known.wire.number == number);
            let Some(found) = plan::find(&mut self.random, country, "", Some("local"), taken) else {
                continue;
            };
            let number = rent::furnished(self, country, &found);
            self.add_number(number, Some(&actor));
        }
    }
}

/// A number that no two subscriptions' lives share, a reset included.
pub(crate) fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// `SplitMix64`: small, seeded, good enough to make things up.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and `end`, exclusive.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// The prefix and so many base62 characters.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = String::from(prefix);
        for _ in 0..length {
            let index = usize::try_from(self.below(62)).expect("below 62");
            id.push(char::from(BASE62[index]));
        }
        id
    }

    /// Lower-case hex of so many bytes.
    pub(crate) fn hex(&mut self, bytes: usize) -> String {
        let made: Vec<u8> = (0..bytes)
            .map(|_| u8::try_from(self.below(256)).expect("a byte"))
            .collect();
        hex::encode(made)
    }
}
