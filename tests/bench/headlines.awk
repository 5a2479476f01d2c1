# headlines.awk: the README's table from the figures that headlines.tsv names, for layout.awk.

BEGIN { OFS = "\t" }
/^#/ { next }
FILENAME ~ /headlines.tsv$/ {
    wanted[++count] = $0
    next
}
$1 == "machine" { machine[$2] = $3 }
$1 == "figure" { figure[$2, $6, $10] = figure[$2, $6, $10] "\n" $0 }

function spread(middle, low, high) {
    return low == high ? middle : middle " (" low " to " high ")"
}

function short(v) { return v >= 10 ? sprintf("%.0f", v) : v >= 1 ? sprintf("%.1f", v) : sprintf("%.2f", v) }

END {
    print "head", "", "this project", "beside it", "ratio (quartiles)"
    for (i = 1; i <= count; i++) {
        split(wanted[i], w, "\t")
        lines = split(figure[w[1], w[3], w[4]], line, "\n")
        for (j = 2; j <= lines; j++) {
            split(line[j], f, "\t")
            if (f[3] !~ "^" w[2] "$")
                continue
            if (f[14] < 1 && w[6] == "less")
                ratio = short(1 / f[14]) " times as much" (f[15] == f[16] ? "" : " (" short(1 / f[16]) " to " short(1 / f[15]) ")")
            else
                ratio = f[14] < 1 ? spread(short(f[14]), short(f[15]), short(f[16])) " of it" \
                : short(f[14]) " times " w[6] (f[15] == f[16] ? "" : " (" short(f[15]) " to " short(f[16]) ")")
            print "row", w[5], w[3] ": " f[7] " " f[4], w[4] ": " f[11] " " f[4], ratio
        }
    }
    split(machine["load average at the beginning"], load, " ")
    match(machine["processor"], /, [0-9]+ of/)
    print "p", "Measured on " machine["processor"] ", " machine["distribution"] ", " machine["date"] \
        (("mode" in machine) ? ", " machine["mode"] : "") ", load average " load[1] " before it" \
        (load[1] > 0.5 * substr(machine["processor"], RSTART + 2) ? ": others were at work on the machine, so that times are longer than they need be and ratios less sure." : ".")
}
