# plots.gp: the plots of scripts/bench, from the .tsv files in the current folder.
set terminal svg size 720,400 font 'sans-serif,13' background '#ffffff'
set grid ytics lc rgb '#dddddd'
set border 3
set tics nomirror
set datafile separator "\t"

there(f) = int(system(sprintf("test -s '%s' && echo 1 || echo 0", f)))

if (there('batched.tsv')) {
  set output 'path.svg'
  set title '2,000 upserts a statement: µs per check (median)'
  set style data histograms
  set style fill solid 0.85 noborder
  set boxwidth 0.7 relative
  set yrange [0:*]
  set key off
  set xtics rotate by -20
  plot 'batched.tsv' using 2:xtic(1) lc rgb '#3366aa', '' using 0:2:(sprintf('%.1f', $2)) with labels offset 0,0.7
  set output 'wal.svg'
  set title '2,000 upserts a statement: WAL bytes per check (median)'
  plot 'batched.tsv' using 3:xtic(1) lc rgb '#aa6633', '' using 0:3:(sprintf('%.0f', $3)) with labels offset 0,0.7
  set xtics norotate
}
if (there('growth.tsv')) {
  set output 'growth.svg'
  set title '5,000 pairs, a check every 15 minutes: size of the history, table and index'
  set xlabel 'days'
  set ylabel 'MB'
  set yrange [0:*]
  set key bottom right
  plot 'growth.tsv' using 1:(($2 + $3) / 1e6) with lines lw 2 lc rgb '#3366aa' title 'integration\_health\_history', \
       '' using 1:(($4) / 1e6) with lines lw 2 lc rgb '#aa6633' title 'integration\_health\_status'
}
if (there('scale.tsv')) {
  set output 'scale.svg'
  set title 'Reads and the global summary by number of organisations (x 2 types)'
  set xlabel 'organisations'
  set ylabel 'ms'
  set logscale xy
  set yrange [0.01:*]
  set key top left
  plot 'scale.tsv' using 1:3 with linespoints lw 2 title 'get\_org\_health\_status', \
       '' using 1:4 with linespoints lw 2 title 'get\_health\_trend, 96 rows', \
       '' using 1:5 with linespoints lw 2 title 'get\_global\_health\_summary', \
       '' using 1:6 with linespoints lw 2 title 'plain aggregate'
  unset logscale
}
