//! Config: where it comes from, its generations on STATE, and the one in force.
//!
//! [`acquire`] is the only writer of `MachineConfig`. Everyone else reads the parsed documents through [`active`].

pub mod acquire;
pub mod generations;
pub mod slot_config;
mod sources;

use std::sync::{Arc, Mutex, PoisonError};

use corten_config::{Config, Source};
use corten_resources::config::MachineConfig;
use corten_store::Store;

/// Why the config in force cannot be read; an older or a newer version may have written it.
pub fn problem(store: &Store) -> Option<String> {
    let resource = store.get::<MachineConfig>(MachineConfig::ACTIVE)?;
    if active(store).is_some() {
        return None;
    }
    let error = Config::parse(&resource.spec.text, &Source::new(&resource.spec.source)).err()?;
    Some(error.summary())
}

/// The config in force, parsed; `None` while there is none.
pub fn active(store: &Store) -> Option<Arc<Config>> {
    /// The documents are parsed once per generation, not once per reader.
    static CACHE: Mutex<Option<(String, Arc<Config>)>> = Mutex::new(None);
    let resource = store.get::<MachineConfig>(MachineConfig::ACTIVE)?;
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((digest, config)) = cache.as_ref()
        && *digest == resource.spec.digest
    {
        return Some(Arc::clone(config));
    }
    let config = Arc::new(Config::parse(&resource.spec.text, &Source::new(&resource.spec.source)).ok()?);
    *cache = Some((resource.spec.digest.clone(), Arc::clone(&config)));
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_another_format_is_a_problem_and_none_is_not() {
        let store = Store::new();
        assert_eq!(problem(&store), None);
        let text = "apiVersion: corten.dev/v9\nkind: Hostname\nhostname: a\n".to_owned();
        let [digest, source] = ["another format", "generation 1"].map(str::to_owned);
        let config = MachineConfig { generation: 1, digest, source, text };
        store.put::<MachineConfig>("test", MachineConfig::ACTIVE, config).unwrap();
        let problem = problem(&store).unwrap();
        assert!(problem.contains("corten.dev/v9") && problem.contains("(generation 1:1:13)"), "{problem}");
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }
}
