# Makes a gem server of a folder, for tests without RubyGems: gems.rb FOLDER GEM...
# The gems are what Debian's packages hold as plain files, and two versions of a tiny one of our own.
require "fileutils"
require "rubygems/package"
require "rubygems/indexer"


folder, *names = ARGV
FileUtils.mkdir_p(File.join(folder, "gems"))
names.each do |name|
  found = Gem::Specification.find_by_name(name)
  Dir.mktmpdir do |copy|
    FileUtils.cp_r("#{found.full_gem_path}/.", copy, dereference_root: true)
    Dir.chdir(copy) do
      spec = Gem::Specification.new(name, found.version) do |s|
        s.summary, s.authors = found.summary, found.authors
        s.files = Dir.glob("{lib,bin,exe}/**/*").select { |path| File.file?(path) }
        s.bindir, s.executables = found.bindir, found.executables
      end
      FileUtils.mv(Gem::Package.build(spec, true), File.join(folder, "gems"))
    end
  end
end
%w[1.0.0 1.1.0].each do |version|
  Dir.mktmpdir do |source|
    Dir.chdir(source) do
      FileUtils.mkdir("lib")
      File.write("lib/greet.rb", "GREET = 'greet #{version}'\n")
      spec = Gem::Specification.new("greet", version) do |s|
        s.summary, s.authors, s.files = "A word", ["nobody"], ["lib/greet.rb"]
      end
      FileUtils.mv(Gem::Package.build(spec, true), File.join(folder, "gems"))
    end
  end
end
Gem::Indexer.new(folder).generate_index
