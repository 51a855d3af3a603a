# Hostnames as the files in place say; without files of ours there are none.
if grep -qs 'gestion-nginx back' /usr/local/sbin/gestion-nginx; then exec /usr/local/sbin/gestion-nginx back; fi
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
rm -rf /etc/nginx/gestion/enabled.conf /etc/nginx/gestion/sites-ipv4 /var/lib/gestion/nginx
if [ -d /run/systemd/system ]; then
  systemctl stop gestion-nginx-again.timer 2>/dev/null
  systemctl daemon-reload
fi
! running || { nginx -t -q && load; }
