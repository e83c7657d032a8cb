//! Users and what they may do.
//!
//! [`rules`] is the language, [`check`] decides over a request, [`describe`] writes rules out again,
//! [`log`] remembers what was refused. A server whose `default` user may do everything, and where
//! nobody else is, pays one load per request for all of this.

pub mod check;
pub mod describe;
pub mod log;
pub mod rules;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rules::{Refused, Rules, merge_selectors};

/// A user. Connections hold on to it: a change of its rules reaches them at once.
pub struct User {
    /// Its name.
    pub name: String,
    rules: RwLock<Arc<Rules>>,
}

impl User {
    fn new(name: &str, rules: Rules) -> Arc<User> {
        Arc::new(User { name: name.to_owned(), rules: RwLock::new(Arc::new(rules)) })
    }

    /// Its rules as they are now.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// All users.
pub struct Acl {
    users: RwLock<BTreeMap<String, Arc<User>>>,
    in_use: AtomicBool,
    /// What was refused.
    pub log: Mutex<log::Log>,
}

impl Default for Acl {
    fn default() -> Acl {
        let user = User::new("default", Rules::of_default());
        Acl {
            users: RwLock::new(BTreeMap::from([("default".to_owned(), user)])),
            in_use: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }
}

fn clean(name: &str) -> bool {
    !name.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0)
}

impl Acl {
    fn map(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<User>>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether requests must be checked at all.
    #[inline]
    pub fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    fn settle(&self) {
        let users = self.map();
        let trivial = users.values().all(|user| user.rules().allows_everything());
        self.in_use.store(!trivial, Ordering::Relaxed);
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.map().get(name).cloned()
    }

    /// The user `default`.
    pub fn default_user(&self) -> Arc<User> {
        self.user("default").unwrap_or_else(|| User::new("default", Rules::of_default()))
    }

    /// All users by name.
    pub fn all(&self) -> Vec<Arc<User>> {
        self.map().values().cloned().collect()
    }

    /// `ACL SETUSER`: all rules or none.
    ///
    /// # Errors
    /// The text of the error reply.
    pub fn set_user(&self, name: &str, words: &[&[u8]], channels: bool) -> Result<(), String> {
        if !clean(name) {
            return Err("ERR Usernames can't contain spaces or null characters".into());
        }
        let old = self.user(name).map(|user| Rules::clone(&user.rules()));
        let rules = changed(old.unwrap_or_else(|| Rules::new(channels)), words, channels)
            .map_err(|why| format!("ERR {why}"))?;
        self.put(name, rules);
        Ok(())
    }

    fn put(&self, name: &str, rules: Rules) {
        {
            let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
            match users.get(name) {
                Some(user) => user.set_rules(rules),
                None => drop(users.insert(name.to_owned(), User::new(name, rules))),
            }
        }
        self.settle();
    }

    /// Removes a user; whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        let removed =
            self.users.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some();
        self.settle();
        removed
    }

    /// `requirepass`: the only password of `default`, or none is needed.
    pub fn set_default_password(&self, password: &str) {
        let user = self.default_user();
        let mut rules = Rules::clone(&user.rules());
        let rule = if password.is_empty() { "nopass".to_owned() } else { format!(">{password}") };
        for rule in ["resetpass", &rule] {
            // Both are rules.
            let _ = rules.apply(rule.as_bytes(), true);
        }
        user.set_rules(rules);
    }

    /// Whether a new connection need not authenticate.
    pub fn is_open(&self) -> bool {
        let rules = self.default_user().rules();
        rules.enabled && rules.no_password
    }

    /// Takes over the users of a file's lines, in the place of all others.
    ///
    /// # Errors
    /// What is wrong with the lines, each on a line.
    pub fn load(&self, path: &Path, channels: bool) -> Result<(), String> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let reason = box_kit::exit::kernel_words(&error);
            format!("Error loading ACLs, opening file '{}': {reason}", path.display())
        })?;
        let mut users: BTreeMap<String, Rules> = BTreeMap::new();
        let mut errors = String::new();
        for (number, line) in text.lines().enumerate() {
            let at = format!("{}:{}", path.display(), number + 1);
            let words: Vec<&str> = line.split_whitespace().collect();
            match &words[..] {
                [] => {}
                ["user", name, ..] if users.contains_key(*name) => {
                    errors.push_str(&format!(
                        "WARNING: Duplicate user '{name}' found on line {}. ",
                        number + 1
                    ));
                }
                ["user", name, rules @ ..] => {
                    let rules: Vec<&[u8]> = rules.iter().map(|word| word.as_bytes()).collect();
                    match changed(Rules::new(channels), &rules, channels) {
                        Ok(rules) => drop(users.insert((*name).to_owned(), rules)),
                        Err(why) => errors.push_str(&format!("{at}: {why}. ")),
                    }
                }
                _ => errors.push_str(&format!(
                    "{at} should start with user keyword followed by the username. "
                )),
            }
        }
        if !errors.is_empty() {
            errors.push_str(
                "WARNING: ACL errors detected, no change to the previously active ACL rules was \
                 performed",
            );
            return Err(errors);
        }
        self.replace(users);
        Ok(())
    }

    fn replace(&self, mut users: BTreeMap<String, Rules>) {
        users.entry("default".to_owned()).or_insert_with(Rules::of_default);
        {
            let mut map = self.users.write().unwrap_or_else(PoisonError::into_inner);
            map.retain(|name, _| users.contains_key(name));
            for (name, rules) in users {
                match map.get(&name) {
                    Some(user) => user.set_rules(rules),
                    None => {
                        let user = User::new(&name, rules);
                        map.insert(name, user);
                    }
                }
            }
        }
        self.settle();
    }

    /// All users as lines of a file.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        let line = |user: &Arc<User>| {
            [b"user ", user.name.as_bytes(), b" ", &describe::user(&user.rules())].concat()
        };
        self.all().iter().map(line).collect()
    }

    /// Writes all users into a file, whole or not at all.
    ///
    /// # Errors
    /// The kernel's.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut text = self.lines().join(&b'\n');
        text.push(b'\n');
        let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
        std::fs::write(&temporary, text)?;
        std::fs::File::open(&temporary)?.sync_all()?;
        std::fs::rename(&temporary, path)
    }
}

/// Rules with others applied to them.
fn changed(mut rules: Rules, words: &[&[u8]], channels: bool) -> Result<Rules, String> {
    let merged = merge_selectors(words.iter().copied()).map_err(|first| {
        let first = String::from_utf8_lossy(&first).into_owned();
        format!("Unmatched parenthesis in acl selector starting at '{first}'.")
    })?;
    for rule in merged {
        rules.apply(&rule, channels).map_err(|refused: Refused| {
            let rule = String::from_utf8_lossy(&rule).into_owned();
            format!("Error in ACL SETUSER modifier '{rule}': {}", refused.text())
        })?;
    }
    Ok(rules)
}
