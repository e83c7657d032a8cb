//! Refuses to build a `box` that is not static.
//!
//! A `RUSTFLAGS` in the environment replaces the flags of `.cargo/config.toml`, and with them
//! `+crt-static`: the result would start here and fail on the machine it is copied to.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTFLAGS");
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if !features.split(',').any(|feature| feature == "crt-static") {
        eprintln!(
            "box must be static, but the flag -C target-feature=+crt-static is missing: \
             RUSTFLAGS in the environment replaces the flags of .cargo/config.toml.\n\
             try: RUSTFLAGS=\"$RUSTFLAGS -C target-feature=+crt-static\" \
             cargo build --target x86_64-unknown-linux-gnu"
        );
        std::process::exit(1);
    }
    println!("cargo:rustc-env=BOX_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
