//! Commands about places: members of a sorted set whose scores are hashes of longitude and latitude.

mod options;

pub use options::{
    GeoArea, GeoOrigin, GeoUnit, GeoaddOptions, GeoradiusOptions, GeosearchOptions,
    GeosearchstoreOptions,
};

/// The table of geo commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `GEOADD`: adds members with their longitude and latitude in degrees, or moves them; how many are new.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            ///
            /// client.geoadd("Sicily", [(13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania")]).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(log N) for each member, since 3.2.0.
            fn geoadd<S>(key: impl ToArg, members: impl ToArgs<S>) -> i64 = ["GEOADD" key members];

            /// `GEOADD` with options.
            ///
            /// O(log N) for each member, since 3.2.0.
            fn geoadd_with<S>(key: impl ToArg, members: impl ToArgs<S>, options: GeoaddOptions) -> i64
                = ["GEOADD" key options members];

            /// `GEODIST`: how far two members are from each other; `None` if one of them is missing.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            /// use tidings::options::GeoUnit;
            ///
            /// let distance = client.geodist("Sicily", "Palermo", "Catania", GeoUnit::Kilometers).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(1), since 3.2.0.
            fn geodist(key: impl ToArg, from: impl ToArg, to: impl ToArg, unit: GeoUnit) -> Option<f64>
                = ["GEODIST" key from to unit];

            /// `GEOHASH`: the Geohash text of each member, in the order asked.
            ///
            /// O(1) for each member, since 3.2.0.
            fn geohash<S>(key: impl ToArg, members: impl ToArgs<S>) -> Vec<Option<String>>
                = ["GEOHASH" key members];

            /// `GEOPOS`: longitude and latitude of each member, in the order asked.
            ///
            /// O(1) for each member, since 3.2.0.
            fn geopos<S>(key: impl ToArg, members: impl ToArgs<S>) -> Vec<Option<(f64, f64)>>
                = ["GEOPOS" key members];

            /// `GEOSEARCH`: the members within an area.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            /// use tidings::options::{GeoArea, GeoOrigin, GeoUnit};
            ///
            /// let area = GeoArea::circle(GeoOrigin::lonlat(15.0, 37.0), 200.0, GeoUnit::Kilometers);
            /// let towns: Vec<String> = client.geosearch("Sicily", area).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(N + log M), for N members in the square around the area and M in all; since 6.2.0.
            fn geosearch[T](key: impl ToArg, area: GeoArea) -> T = ["GEOSEARCH" key area];

            /// `GEOSEARCH` with options: how many, in what order, and what comes back of each beside its name.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::Commands;
            /// use tidings::options::{GeoArea, GeoOrigin, GeoUnit, GeosearchOptions};
            ///
            /// let area = GeoArea::circle(GeoOrigin::member("Palermo"), 200.0, GeoUnit::Kilometers);
            /// let nearest = GeosearchOptions::new().asc().count(3).withdist();
            /// let towns: Vec<(String, f64)> = client.geosearch_with("Sicily", area.clone(), nearest).await?;
            /// let all = GeosearchOptions::new().withdist().withhash().withcoord();
            /// let towns: Vec<(String, f64, i64, (f64, f64))> = client.geosearch_with("Sicily", area, all).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(N + log M), for N members in the square around the area and M in all; since 6.2.0.
            fn geosearch_with[T](key: impl ToArg, area: GeoArea, options: GeosearchOptions) -> T
                = ["GEOSEARCH" key area options];

            /// `GEOSEARCHSTORE`: keeps the members within an area under another key, over what it held; how many.
            ///
            /// O(N + log M), for N members in the square around the area and M in all; since 6.2.0.
            fn geosearchstore(destination: impl ToArg, source: impl ToArg, area: GeoArea) -> i64
                = ["GEOSEARCHSTORE" destination source area];

            /// `GEOSEARCHSTORE` with options.
            ///
            /// O(N + log M), for N members in the square around the area and M in all; since 6.2.0.
            fn geosearchstore_with(
                destination: impl ToArg,
                source: impl ToArg,
                area: GeoArea,
                options: GeosearchstoreOptions
            ) -> i64 = ["GEOSEARCHSTORE" destination source area options];

            /// `GEORADIUS`: the members no further from a place than a radius. Deprecated by the server in favour of
            /// [`geosearch`](Commands::geosearch).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.0.
            fn georadius[T](key: impl ToArg, longitude: f64, latitude: f64, radius: f64, unit: GeoUnit) -> T
                = ["GEORADIUS" key longitude latitude radius unit];

            /// `GEORADIUS` with options. Deprecated by the server in favour of
            /// [`geosearch_with`](Commands::geosearch_with) and [`geosearchstore`](Commands::geosearchstore).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.0.
            fn georadius_with[T](
                key: impl ToArg,
                longitude: f64,
                latitude: f64,
                radius: f64,
                unit: GeoUnit,
                options: GeoradiusOptions
            ) -> T = ["GEORADIUS" key longitude latitude radius unit options];

            /// `GEORADIUS_RO`: as `GEORADIUS`, and never stores anything. Deprecated by the server in favour of
            /// [`geosearch`](Commands::geosearch).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.10.
            fn georadius_ro[T](key: impl ToArg, longitude: f64, latitude: f64, radius: f64, unit: GeoUnit) -> T
                = ["GEORADIUS_RO" key longitude latitude radius unit];

            /// `GEORADIUS_RO` with options. Deprecated by the server in favour of
            /// [`geosearch_with`](Commands::geosearch_with).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.10.
            fn georadius_ro_with[T](
                key: impl ToArg,
                longitude: f64,
                latitude: f64,
                radius: f64,
                unit: GeoUnit,
                options: GeosearchOptions
            ) -> T = ["GEORADIUS_RO" key longitude latitude radius unit options];

            /// `GEORADIUSBYMEMBER`: the members no further from one of them than a radius, itself included.
            /// Deprecated by the server in favour of [`geosearch`](Commands::geosearch).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.0.
            fn georadiusbymember[T](key: impl ToArg, member: impl ToArg, radius: f64, unit: GeoUnit) -> T
                = ["GEORADIUSBYMEMBER" key member radius unit];

            /// `GEORADIUSBYMEMBER` with options. Deprecated by the server in favour of
            /// [`geosearch_with`](Commands::geosearch_with) and [`geosearchstore`](Commands::geosearchstore).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.0.
            fn georadiusbymember_with[T](
                key: impl ToArg,
                member: impl ToArg,
                radius: f64,
                unit: GeoUnit,
                options: GeoradiusOptions
            ) -> T = ["GEORADIUSBYMEMBER" key member radius unit options];

            /// `GEORADIUSBYMEMBER_RO`: as `GEORADIUSBYMEMBER`, and never stores anything. Deprecated by the server in
            /// favour of [`geosearch`](Commands::geosearch).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.10.
            fn georadiusbymember_ro[T](key: impl ToArg, member: impl ToArg, radius: f64, unit: GeoUnit) -> T
                = ["GEORADIUSBYMEMBER_RO" key member radius unit];

            /// `GEORADIUSBYMEMBER_RO` with options. Deprecated by the server in favour of
            /// [`geosearch_with`](Commands::geosearch_with).
            ///
            /// O(N + log M), for N members in the square around the circle and M in all; since 3.2.10.
            fn georadiusbymember_ro_with[T](
                key: impl ToArg,
                member: impl ToArg,
                radius: f64,
                unit: GeoUnit,
                options: GeosearchOptions
            ) -> T = ["GEORADIUSBYMEMBER_RO" key member radius unit options];
        }
    };
}

pub(super) use table;
