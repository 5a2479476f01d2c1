# report.awk: the tables of a report from the lines of figures.py and of tests/bench/machine, for layout.awk.

BEGIN {
    OFS = "\t"
    titles["launcher"] = "The launcher beside JavaScript"
    titles["container"] = "callback-run beside what AWS's sample does in its container"
    titles["receiver"] = "The callback receiver"
    titles["durable"] = "Replay of recorded steps"
    titles["local"] = "local-aws"
    titles["growth"] = "Growth"
    BENDS = 1.3 # the exponent from which on a cost is not called linear any more
}

function section(name) {
    if (!(name in known)) {
        known[name] = 1
        order[++sections] = name
    }
}

function spread(middle, low, high) {
    return low == high ? middle : middle " (" low " to " high ")"
}

$1 == "machine" { machine[++machines] = $2 OFS $3 }
# What runs at the end is the measurement itself.
$1 == "machine" && $2 == "load average at the beginning" { split($3, l, " "); load = l[1] + 0 }
$1 == "machine" && $2 == "processor" { match($3, /, [0-9]+ of/); processors = substr($3, RSTART + 2) + 0 }
$1 == "version" { versions = versions (versions ? ", " : "") $2 " " $3 }
$1 == "skipped" { section($2); skips[$2] = skips[$2] "\nskipped: " $3 ": " $4 }
$1 == "figure" {
    section($2)
    n = ++figures[$2]
    figure[$2, n] = $3 OFS $6 OFS spread($7, $8, $9) " " $4 OFS $10 \
        OFS ($10 == "" ? "" : spread($11, $12, $13) " " $4) OFS ($14 == "" ? "" : spread($14, $15, $16)) OFS $17
}

# section, curve, name of x, x, what, unit, total or level, cost in all, how many share it
$1 == "curve" {
    section($2)
    c = $2 SUBSEP $3
    if (!(c in x_name)) {
        curve[$2, ++curves[$2]] = $3
        x_name[c] = $4
    }
    if (!((c, "x", $5) in seen)) {
        seen[c, "x", $5] = 1
        x[c, ++points[c]] = $5
    }
    if (!((c, "what", $6) in seen)) {
        seen[c, "what", $6] = 1
        what[c, ++whats[c]] = $6
        unit[c, $6] = $7
        kind[c, $6] = $8
    }
    cost[c, $6, $5] = $9
    share[c, $6, $5] = $10
}

$1 == "note" { section($2); notes[$2, $3] = $4 }

function digits(v) {
    return v == 0 ? "0" : v >= 1000 ? sprintf("%d", v + 0.5) : v >= 100 ? sprintf("%.0f", v) : v >= 10 ? sprintf("%.1f", v) \
        : v >= 1 ? sprintf("%.2f", v) : sprintf("%.3g", v)
}

# The exponent between two points, or "": cost grows with x to this power.
function exponent(c, w, i,    a, b, from, to) {
    from = x[c, i - 1]; to = x[c, i]
    a = cost[c, w, from]; b = cost[c, w, to]
    if (i < 2 || a <= 0 || b <= 0)
        return ""
    return sprintf("%.2f", log(b / a) / log(to / from))
}

function print_curve(c, title,    i, j, w, line, e, until, text) {
    print "p", title ":"
    line = "head" OFS x_name[c]
    for (j = 1; j <= whats[c]; j++) {
        w = what[c, j]
        line = line OFS w (unit[c, w] == "" ? "" : ", " unit[c, w])
        if (kind[c, w] == "total")
            line = line OFS "exponent"
    }
    print line
    for (i = 1; i <= points[c]; i++) {
        line = "row" OFS x[c, i]
        for (j = 1; j <= whats[c]; j++) {
            w = what[c, j]
            if (!((c, w, x[c, i]) in cost)) {
                line = line OFS (kind[c, w] == "total" ? OFS : "")
                continue
            }
            line = line OFS digits(cost[c, w, x[c, i]] / share[c, w, x[c, i]])
            if (kind[c, w] == "total")
                line = line OFS exponent(c, w, i)
        }
        print line
    }
    for (j = 1; j <= whats[c]; j++) {
        w = what[c, j]
        if (kind[c, w] != "total")
            continue
        until = ""
        for (i = 2; i <= points[c] && until == ""; i++) {
            e = exponent(c, w, i)
            if (e != "" && e + 0 >= BENDS)
                until = x[c, i - 1]
        }
        text = text (text ? "; " : "") w ": " (until == "" ? "linear or better up to " x[c, points[c]] ", the last point" \
            : "linear up to " until ", it bends there")
    }
    if (text)
        print "p", text "."
    if (c in notes)
        print "p", notes[c]
}

END {
    print "h", "Machine"
    print "head", "", ""
    for (i = 1; i <= machines; i++)
        print "row", machine[i]
    print "p", "With " versions "."
    if (load > 0.5 * processors)
        print "p", "The machine was not quiet (load average " load " on " processors " processors before it): times of this run " \
            "say little, ratios less than they could."
    print "p", "Each figure is the median of its rounds, with their quartiles. In a round ours and its peer are " \
        "measured one after the other, and the ratio is that of each round: more than 1 is ours ahead, faster, smaller " \
        "or more, whatever is better. Figures of another run or machine are not to be held beside these."
    for (i = 1; i <= sections; i++) {
        s = order[i]
        print "h", (s in titles) ? titles[s] : s
        if (figures[s] > 0) {
            print "head", "what", "ours", "median (quartiles)", "peer", "its median", "ours is better by", "rounds"
            for (j = 1; j <= figures[s]; j++)
                print "row", figure[s, j]
        }
        for (j = 1; j <= curves[s]; j++)
            print_curve(s SUBSEP curve[s, j], curve[s, j])
        count = split(skips[s], lines, "\n")
        for (j = 2; j <= count; j++)
            print "p", lines[j] "."
    }
}
