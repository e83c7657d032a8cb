//! `pull`, `push`, `login`, `logout`, and the pull that `run` begins with.

use std::io::{IsTerminal, Read};

use box_kit::{Exit, Failure, Outcome};

use super::{Engine, images};
use crate::cli::RunArgs;
use crate::cli::images::{LoginArgs, LogoutArgs, PullArgs, PushArgs, TrustArgs};
use crate::image::reference::Reference;
use crate::image::{Digest, Platform};
use crate::layer::Limits;
use crate::registry::{self, Trust, Wanted};
use crate::store::Image;

fn trust(args: &TrustArgs) -> Trust {
    Trust { verify: args.tls_verify, folder: args.cert_dir.clone() }
}

/// `pull`.
pub fn pull(engine: &Engine, args: &PullArgs) -> Outcome {
    let reference = Reference::parse(&args.image)?;
    let told = |digest: &Digest, what: &str| println!("{}: {what}", digest.short());
    let silent = |_: &Digest, _: &str| {};
    if !args.quiet {
        let what = reference.digest.as_ref().map_or(reference.tag.clone(), ToString::to_string);
        println!("{what}: Pulling from {}", reference.path);
    }
    let wanted = Wanted {
        reference: &reference,
        platform: args.platform.as_deref().map(Platform::parse),
        trust: trust(&args.trust),
        limits: images::limits(args.max_layer_size.as_deref())?,
        told: if args.quiet { &silent } else { &told },
    };
    let (named, _, same) = registry::pull(&engine.store, &wanted)?;
    if !args.quiet {
        println!("Digest: {named}");
        let state = if same { "Image is up to date" } else { "Downloaded newer image" };
        println!("Status: {state} for {}", reference.shown());
    }
    println!("{reference}");
    super::events::record(&engine.store, "image", "pull", &reference.shown(), &[]);
    Ok(Exit::DONE)
}

/// The image of `run`: from the store, or from its registry, as `--pull` says.
pub fn wanted(engine: &Engine, args: &RunArgs, name: &str) -> Result<Image, Failure> {
    let here = engine.store.find(name);
    let get = match args.pull.as_str() {
        "always" => true,
        "never" => false,
        // One that is here and damaged is not missing: that has to be said.
        "missing" => {
            let known = engine.store.names()?;
            here.is_err()
                && Reference::parse(name).is_ok_and(|name| !known.contains_key(&name.to_string()))
        }
        other => {
            return Err(
                Failure::misuse("always, missing or never").about(format!("--pull {other}"))
            );
        }
    };
    if !get {
        return here.map(|(_, image)| image);
    }
    let reference = Reference::parse(name)?;
    if !args.quiet {
        eprintln!("Unable to find image '{}' locally", reference.shown());
    }
    let told = |digest: &Digest, what: &str| eprintln!("{}: {what}", digest.short());
    let silent = |_: &Digest, _: &str| {};
    let wanted = Wanted {
        reference: &reference,
        platform: args.platform.as_deref().map(Platform::parse),
        trust: trust(&args.trust),
        limits: Limits::default(),
        told: if args.quiet { &silent } else { &told },
    };
    let (_, manifest, _) = registry::pull(&engine.store, &wanted)?;
    engine.store.image(&manifest)
}

/// `push`.
pub fn push(engine: &Engine, args: &PushArgs) -> Outcome {
    let (_, image) = engine.store.find(&args.image)?;
    let reference = Reference::parse(args.destination.as_deref().unwrap_or(&args.image))?;
    if reference.digest.is_some() {
        return Err(Failure::new("a tag is needed").about(reference.to_string()));
    }
    let told = |digest: &Digest, what: &str| println!("{}: {what}", digest.short());
    let silent = |_: &Digest, _: &str| {};
    if !args.quiet {
        println!("The push refers to repository [{}/{}]", reference.registry, reference.path);
    }
    let told: &(dyn Fn(&Digest, &str) + Sync) = if args.quiet { &silent } else { &told };
    let (digest, size) =
        registry::push(&engine.store, &reference, &image, &trust(&args.trust), told)?;
    if !args.quiet {
        println!("{}: digest: {digest} size: {size}", reference.tag);
    }
    super::events::record(&engine.store, "image", "push", &reference.shown(), &[]);
    Ok(Exit::DONE)
}

/// `login`.
pub fn login(args: &LoginArgs) -> Outcome {
    let mut input = String::new();
    let ask = |what: &str| -> Result<String, Failure> {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::misuse(format!("{what} is needed"))
                .advise("try: --username NAME --password-stdin"));
        }
        eprint!("{what}: ");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    };
    let user = match &args.username {
        Some(user) => user.clone(),
        None => ask("Username")?,
    };
    let password = match &args.password {
        _ if args.password_stdin => {
            std::io::stdin().take(64 * 1024).read_to_string(&mut input)?;
            input.trim_end_matches(['\r', '\n']).to_owned()
        }
        Some(password) => password.clone(),
        None => {
            let stdin = std::io::stdin();
            let _hidden = box_sys::pty::without_echo(std::os::fd::AsFd::as_fd(&stdin)).ok();
            let password = ask("Password")?;
            eprintln!();
            password
        }
    };
    registry::login::login(&args.registry, &user, &password, &trust(&args.trust))?;
    println!("Login Succeeded");
    Ok(Exit::DONE)
}

/// `logout`.
pub fn logout(args: &LogoutArgs) -> Outcome {
    if registry::login::logout(&args.registry)? {
        println!("Removing login credentials for {}", args.registry);
        return Ok(Exit::DONE);
    }
    println!("Not logged in to {}", args.registry);
    Ok(Exit::DONE)
}
