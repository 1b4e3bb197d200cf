#!/bin/bash
# pg_isready of one address, `-q -h <host> -U <user> -d <database>`: 0 where PostgreSQL asks a newcomer to authenticate, 1 where it sends him away, 2 where nobody answers.
while getopts qh:U:d: option; do
  case $option in
    q) ;;
    h) host=$OPTARG ;;
    U) user=$OPTARG ;;
    d) database=$OPTARG ;;
    *) exit 3 ;;
  esac
done
exec 3<>"/dev/tcp/$host/5432" || exit 2
length=$((8 + 5 + ${#user} + 1 + 9 + ${#database} + 1 + 1))
printf "\\0\\0\\0\\x$(printf %02x $length)\\0\\3\\0\\0user\\0$user\\0database\\0$database\\0\\0" >&3
read -r -t 3 -n 1 answer <&3
[ "$answer" = R ]
