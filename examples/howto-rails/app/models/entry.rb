class Entry < ActiveRecord::Base
  validates :text, presence: true, length: { maximum: 200 }
end
