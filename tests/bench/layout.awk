# layout.awk: lays a report out, as Markdown (form=md) or as text (form=txt). Each line of the input is one thing:
# h, a heading; p, a paragraph; head and row, the cells of a table, which ends with the next line of another kind.

function md_cell(s) {
    gsub(/\|/, "\\|", s)
    return s
}

function number_like(s) {
    return s ~ /^[-0-9.,]/
}

function flush_table(    i, j, line, width, cells) {
    if (rows == 0)
        return
    for (i = 0; i < rows; i++) {
        split(table[i], cells, "\t")
        line = form == "md" ? "|" : ""
        for (j = 1; j <= columns; j++)
            if (form == "md")
                line = line " " md_cell(cells[j]) " |"
            else
                line = line sprintf(j > 1 && named && number_like(cells[j]) ? "%" widest[j] "s" : "%-" widest[j] "s", cells[j]) "  "
        sub(/ +$/, "", line)
        print line
        if (i == 0 && form == "md") {
            line = "|"
            for (j = 1; j <= columns; j++)
                line = line "---|"
            print line
        }
    }
    print ""
    rows = 0
}

$1 == "head" || $1 == "row" {
    if ($1 == "head") {
        flush_table()
        columns = NF - 1
        named = $2 != ""
        for (i = 1; i <= columns; i++)
            widest[i] = 1
    }
    line = ""
    for (i = 1; i <= columns; i++) {
        line = line (i > 1 ? "\t" : "") $(i + 1)
        if (length($(i + 1)) > widest[i])
            widest[i] = length($(i + 1))
    }
    table[rows++] = line
    next
}

{ flush_table() }

$1 == "h" {
    if (form == "md")
        print "## " $2 "\n"
    else {
        print $2
        line = $2
        gsub(/./, "=", line)
        print line "\n"
    }
}

$1 == "p" {
    # Lines of 110 characters at most.
    count = split($2, words, " ")
    line = words[1]
    for (i = 2; i <= count; i++)
        if (length(line) + length(words[i]) + 1 > 110) {
            print line
            line = words[i]
        } else
            line = line " " words[i]
    print line "\n"
}

END { flush_table() }
