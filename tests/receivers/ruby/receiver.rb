# Shows requests to the code for Ruby: reads a case a line, and answers for each whether its code takes it.

# The second since 1970 that it is.
$now = 0

Time.singleton_class.remove_method(:now)
def Time.now = at($now)

codes = Hash.new do |known, number|
  path = File.join(__dir__, "codes", "of_#{number}.rb")
  code = Module.new
  code.module_eval(File.read(path), path)
  known[number] = Object.new.extend(code)
end

$stdin.each_line(chomp: true) do |line|
  # The code's number, the second that it is, the body, and the headers.
  number, second, body, *headers = line.split(" ")
  $now = second.to_i
  headers = headers.to_h { |word| word.split(":", 2) }.transform_values { |value| value.unpack1("m").force_encoding("UTF-8") }
  puts codes[number].verify(headers, body.unpack1("m"))
end
