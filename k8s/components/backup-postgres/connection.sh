# Makes a connection of libpq's programs from a URL of the service, and verifies the server as the service does:
# `connection FOLDER` reads the files of the Secret that is mounted there, and sets `url` and variables of libpq.
#   url         the URL of the database
#   direct-url  the server itself, if `url` names a pooler: pg_dump needs a session of its own
#   password    the password, if the URL has none
#   ca.crt      authorities to trust besides the public ones
PUBLIC=${PUBLIC_AUTHORITIES:-/etc/ssl/certs/ca-certificates.crt}

connection() {
    folder=$1 file=$1/url
    [ ! -f "$folder/direct-url" ] || file=$folder/direct-url
    [ -f "$file" ] || { echo "the Secret has no key url" >&2; return 1; }
    whole=$(tr -d '\r\n' <"$file")
    case $whole in
    postgres://* | postgresql://*) ;;
    *) echo "the URL of the database must begin with postgres://" >&2; return 1 ;;
    esac
    base=${whole%%\?*} query='' kept='' options='' mode='' roots='' host='' password=''
    case $whole in *\?*) query=${whole#*\?} ;; esac
    unset PGSSLMODE PGSSLROOTCERT PGPASSWORD
    set -f
    before=$IFS IFS='&'
    for pair in $query; do
        name=${pair%%=*} value=${pair#*=}
        case $name in
        ssl-mode) name=sslmode ;;
        ssl-root-cert | ssl-ca) name=sslrootcert ;;
        ssl-cert) name=sslcert ;;
        ssl-key) name=sslkey ;;
        esac
        case $name in
        sslmode) mode=$value ;;
        sslrootcert) roots=$value ;;
        host | hostaddr) host=$value ;;
        password) password=$value ;;
        esac
        case $name in
        options) options="$options%20$value" ;;
        options\[*\]) name=${name#*\[} options="$options%20-c%20${name%\]}%3D$value" ;;
        options%5B*%5D | options%5b*%5d) name=${name#*%5?} options="$options%20-c%20${name%\%5?}%3D$value" ;;
        # What libpq knows. The other parameters of the service are for its own driver, such as connection_limit.
        host | hostaddr | port | user | password | dbname | sslmode | sslrootcert | sslcert | sslkey | sslsni | \
            channel_binding | target_session_attrs | load_balance_hosts | connect_timeout | application_name | \
            fallback_application_name | client_encoding | keepalives | keepalives_idle | keepalives_interval | \
            keepalives_count | tcp_user_timeout | sslcompression | sslnegotiation | ssl_min_protocol_version | \
            gssencmode | krbsrvname | gsslib)
            kept="$kept&$name=$value" ;;
        esac
    done
    IFS=$before
    set +f
    [ -z "$options" ] || kept="$kept&options=${options#%20}"
    url=$base${kept:+?${kept#&}}

    authority=${base#*://}
    authority=${authority%%/*}
    case $authority in *:*@*) password=in-the-url ;; esac
    [ -n "$password" ] || [ ! -f "$folder/password" ] || PGPASSWORD=$(cat "$folder/password")
    [ -n "$host" ] || host=${authority##*@}
    [ -n "$mode" ] || are_local "$host" || mode=verify-full PGSSLMODE=verify-full
    if [ -n "$roots" ]; then
        [ -n "$mode" ] || mode=verify-full PGSSLMODE=verify-full
    elif [ -f "$folder/ca.crt" ]; then
        # Trusted besides the public authorities if the certificate is verified, as by the service.
        PGSSLROOTCERT=${TMPDIR:-/tmp}/authorities.pem
        cat "$folder/ca.crt" >"$PGSSLROOTCERT"
        [ ! -f "$PUBLIC" ] || { echo && cat "$PUBLIC"; } >>"$PGSSLROOTCERT"
        [ -n "$mode" ] || mode=verify-full PGSSLMODE=verify-full
    else
        case $mode in verify-*) PGSSLROOTCERT=$PUBLIC ;; esac
    fi
    for variable in PGSSLMODE PGSSLROOTCERT PGPASSWORD; do
        eval "[ -z \"\${$variable:-}\" ] || export $variable"
    done
}

# Whether each host of a list is this machine: a socket, localhost or a loopback address.
are_local() {
    before=$IFS IFS=,
    for one in $1; do
        IFS=$before
        case $one in
        '['*) one=${one#\[} one=${one%%\]*} ;;
        *:*:*) ;;
        *) one=${one%:*} ;;
        esac
        case $one in
        '' | /* | %2F* | %2f* | localhost | localhost. | 127.*.*.* | ::1) ;;
        *) return 1 ;;
        esac
    done
    IFS=$before
}
